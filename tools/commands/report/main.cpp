// vitrine-report: a page about runs of vitrine-train. See tools/commands/report/.
#include "common/base/error.h"
#include "common/base/stop.h"
#include "tools/commands/report/command.h"
#include "tools/commands/report/evaluate/evaluate_run.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-report", [&] {
    return vitrine::report_command(argc, argv,
                                   [](const std::filesystem::path& run, const vitrine::EvaluateRequest& how) {
                                     write_evaluation(run, vitrine::evaluate_run(run, how, vitrine::stop_on_signals()));
                                   });
  });
}
