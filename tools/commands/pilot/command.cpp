#include "tools/commands/pilot/command.h"

#include <fcntl.h>
#include <unistd.h>
#include <ATen/ATen.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_lock.h"
#include "common/base/files.h"
#include "common/base/json_text.h"
#include "common/base/memory.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "common/image/outside_images.h"
#include "tools/commands/pilot/look.h"
#include "tools/commands/pilot/outcome.h"
#include "tools/commands/pilot/request.h"
#include "tools/commands/pilot/trial.h"
#include "tools/commands/vitrine/steps.h"

namespace vitrine {
namespace {
namespace fs = std::filesystem;

constexpr const char* kRanking = "ranking.json";

void add_options(CommandLine& line, PilotRequest& request, std::vector<std::string>& allow) {
  line.add_option("CONFIG", request.configs,
                  "vitrine-extract's TOML file of each teacher, with the same labelled images")
      .required();
  line.add_option("--out", request.out, "directory of pictures, students and ranking").show_default();
  line.add_option("--groups", request.groups, "pictures that teach, in groups of the configurations' plan.group")
      .show_default()
      .range(1u, 1000000u);
  line.add_option("--passes", request.passes, "over these pictures, in a teacher's cache")
      .show_default()
      .range(1u, 1000000u);
  line.add_option("--held-out", request.held_out, "other pictures, which score the students")
      .show_default()
      .range(10u, 10000000u);
  line.add_option("--epochs", request.epochs, "of a student's joint phase").show_default().range(0.1, 1e6);
  line.add_option("--arch", request.arch, "of the students: resnet18, resnet34, resnet50, resnet101 or resnet152")
      .one_of(std::vector<std::string>{"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"})
      .type_name("NAME")
      .show_default();
  line.add_option("--width", request.width, "channels of the students' first stage; 64 is the published ResNet")
      .show_default()
      .range(1u, 1024u);
  line.add_option("--seed", request.seed, "of the pictures' choice, by a hash of their names, and of the students")
      .show_default();
  line.add_option("--set", request.overrides, "key=value, of vitrine-train's configuration; repeatable").repeatable();
  line.add_option("--allow", allow,
                  "module: run the code in teacher.module; mixed: continue with another kind of machine or version")
      .type_name("WORD[,WORD...]")
      .repeatable();
  line.add_flag("--keep", request.keep, "keep the caches; else each is removed once its student is scored");
}

// While it lives, what this program and those that it runs print on standard output goes to standard error.
class OutputAside {
 public:
  OutputAside() {
    std::fflush(stdout);
    kept_ = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
    if (kept_ < 0 || dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
      fail_system(errno, "standard output", "cannot be redirected", "leave --json out");
  }
  ~OutputAside() {
    std::fflush(stdout);
    dup2(kept_, STDOUT_FILENO);
    close(kept_);
  }
  OutputAside(const OutputAside&) = delete;
  OutputAside& operator=(const OutputAside&) = delete;

 private:
  int kept_ = -1;
};

int pilot(const PilotRequest& request, bool dry_run, const std::string& own, const std::string& command,
          const StopFlag& stop) {
  const std::vector<PilotTeacher> teachers = teachers_of(request);
  for (const PilotTeacher& teacher : teachers) {
    const TrainOptions student = train_options(request, teacher);  // refuses what --set may not
    check_outside_images({"--out", request.out}, {{"images", teacher.options.images}, {"test", student.test}});
  }
  const RequestRecord record = record_of(request, teachers);
  if (!is_begun(record)) {
    const PictureDraw draw = draw_of(request, teachers);
    std::fputs(describe(request, teachers, draw).c_str(), stdout);
    std::fflush(stdout);
    if (dry_run) {
      std::printf("\n%s", estimate(request, teachers, draw, stop).c_str());
      return 0;
    }
  } else if (dry_run) {
    std::printf("%s: has begun; the same command without --dry-run resumes it\n", request.out.c_str());
    return 0;
  }
  const FileLock lock = begin_or_resume(record);
  link_pictures(request, teachers, stop);
  std::vector<CommandStep> steps;
  for (const PilotTeacher& teacher : teachers)
    for (CommandStep& step : steps_of(request, teacher, own, stop)) steps.push_back(std::move(step));
  if (const int code = run_steps(steps, command, stop); code != 0) return code;
  std::vector<TrialResult> trials;
  for (const PilotTeacher& teacher : teachers) trials.push_back(result_of(request, teacher));
  sort_by_student(trials);
  publish(fs::path(request.out) / kRanking, json_text(ranking_json(trials)));
  std::printf("\n%s", ranking_table(trials).c_str());
  return 0;
}

}  // namespace

int pilot_command(int argc, char** argv) {
  keep_freed_memory();
  return guarded_main("vitrine-pilot", [&] {
    CommandLine line(
        "Tries teachers before a long extraction: caches a few groups of each, trains a small student from each "
        "cache,\n"
        "and ranks the teachers by the students' top-1 on pictures that neither saw. The strongest teacher is not "
        "always\nthe best one.");
    PilotRequest request;
    std::vector<std::string> allow;
    bool dry_run = false, json = false;
    add_options(line, request, allow);
    line.add_dry_run(dry_run, "say what would be done and what it costs");
    line.add_flag("--json", json, "the ranking as JSON on standard output, all else on standard error");
    line.footer(
        "Ctrl-C is safe, and the same command resumes. OUT/NAME is the trial of NAME.toml, OUT/ranking.json the "
        "ranking.\nPictures are linked, not copied. Exit codes: those of vitrine-extract and vitrine-train.");
    if (const auto code = line.parse(argc, argv)) return *code;
    request.allow_module = take_allowed(allow, "module");
    request.allow_mixed = take_allowed(allow, "mixed");
    refuse_other_words(allow, {"mixed", "module"});
    if (json && dry_run) fail("--json is of the ranking, and --dry-run makes none; leave one of them out");
    const StopFlag& stop = stop_on_signals();
    int code = 0;
    {
      std::optional<OutputAside> aside;
      if (json) aside.emplace();
      code = pilot(request, dry_run, argv[0], shell_command(argc, argv), stop);
    }
    if (code == 0 && json) std::fputs(read_file(fs::path(request.out) / kRanking).c_str(), stdout);
    return code;
  });
}

}  // namespace vitrine
