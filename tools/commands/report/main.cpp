// vitrine-report: a page about runs of vitrine-train. See tools/commands/report/.
#include "common/base/error.h"
#include "common/base/stop.h"
#include "tools/commands/report/command.h"
#include "tools/commands/report/judge/judge.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-report", [&] {
    return vitrine::report_command(argc, argv, [](const std::filesystem::path& run, const vitrine::JudgeRequest& how) {
      write_judgement(run, vitrine::judge_run(run, how, vitrine::stop_on_signals()));
    });
  });
}
