#include "tools/commands/report/command.h"

#include <cstdio>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/config/command_line.h"
#include "tools/commands/report/page.h"
#include "tools/commands/report/run.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

// Where the page goes; checked before anything is computed.
std::filesystem::path output_path(const std::vector<std::string>& runs, const std::string& given, bool is_given) {
  if (is_given && given.empty()) fail("-o is empty; give the name of the page's file");
  if (!is_given && runs.size() > 1) fail("a page of several runs needs a name; give it with -o FILE");
  const std::filesystem::path path = is_given ? std::filesystem::path(given) : RunFiles(runs[0]).report();
  if (directory_exists(path))
    throw Error(ErrorKind::kInput,
                {.path = path.string(), .what = "is a directory", .remedy = "give the name of a file with -o"});
  return path;
}

}  // namespace

int report_command(int argc, const char* const* argv, const EvaluateRun& evaluate) {
  CommandLine line("Makes one HTML page of a run of vitrine-train, or of several, side by side.");
  std::vector<std::string> directories;
  std::string output;
  EvaluateRequest request;
  bool evaluated = false;
  line.add_option("RUN", directories, "directories of runs (vitrine-train's key output)").required();
  const auto file =
      line.add_option("-o,--output", output, "the page; RUN/report.html by default, required for several runs");
  const auto with_evaluate =
      line.add_flag("--evaluate", evaluated,
                    "first run the student, and the teacher if targets.teacher.weights is given, on the run's test or "
                    "validation images; stored in RUN/evaluation.json for later pages");
  line.add_option("--images", request.images, "with --evaluate: a folder of class folders to evaluate on")
      .needs(with_evaluate);
  line.add_option("--set", request.overrides, "with --evaluate: key=value, overrides RUN/config.toml; may be repeated")
      .needs(with_evaluate)
      .repeatable();
  line.add_option("--allow", request.allow, "with --evaluate: as vitrine-train's --allow")
      .type_name("WORD[,WORD...]")
      .needs(with_evaluate)
      .repeatable();
  line.add_option("--hardest", request.hardest, "with --evaluate: pictures with the largest loss to store")
      .needs(with_evaluate)
      .range(0, 100)
      .show_default();
  bool dry_run = false;
  line.add_dry_run(dry_run);
  if (const auto code = line.parse(argc, argv)) return *code;

  const std::filesystem::path path = output_path(directories, output, file.given());
  check_runs(directories);
  if (dry_run) {
    if (evaluated)
      for (const std::string& directory : directories) print_would_write(RunFiles(directory).evaluation());
    const std::size_t bytes = page_html(read_runs(directories)).size();  // an evaluation would change it
    print_would_write(path, evaluated ? std::string() : human_bytes(static_cast<double>(bytes)));
    return 0;
  }
  if (evaluated)
    for (const std::string& directory : directories) evaluate(directory, request);
  publish(path, page_html(read_runs(directories)));
  std::printf("%s\n", path.c_str());
  return 0;
}

}  // namespace vitrine
