#include "tools/commands/distil/command.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_lock.h"
#include "common/base/files.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "tools/commands/distil/look.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"
#include "tools/commands/distil/steps.h"

namespace vitrine {
namespace {

void add_options(CommandLine& line, DistilRequest& request, std::vector<std::string>& allow) {
  line.add_option("PHOTOS", request.photos, "a folder with one folder of JPEG, PNG or WebP photos per class")
      .required();
  line.add_option("--teacher", request.teacher,
                  "a ViT: its weight file, a folder with weights and config.json, as of timm or Hugging Face, or a run "
                  "of vitrine-train that trained one")
      .required();
  line.add_option(
          "--allow", allow,
          "continue anyway: chance, with a teacher no better than guessing; empty, with class folders without a photo; "
          "mixed, with targets of unlike machines or versions; module, with a teacher that is a module of "
          "tools/scripts/export_teacher.py, whose code runs")
      .type_name("WORD[,WORD...]")
      .repeatable();
  line.add_option("--out", request.out, "the directory to make, or to resume: configurations, cache, student, report")
      .required();
  line.add_option("--student", request.student, "resnet18, resnet34, resnet50, resnet101 or resnet152")
      .one_of(std::vector<std::string>{"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"})
      .type_name("NAME")
      .show_default();
  line.add_option("--student-weights", request.student_weights,
                  "a weight file to begin with, as torchvision's; else random weights");
  line.add_option("--hours", request.hours,
                  "how long everything may take, with --baseline too: pictures and epochs shrink to fit")
      .positive();
  line.add_option("--val", request.validation,
                  "validation photos, in the same class folders; else a share of PHOTOS is held out");
  line.add_option("--test", request.test, "test photos, on which the student is evaluated once");
  line.add_flag("--no-labels", request.no_labels, "learn from the teacher alone; PHOTOS is then any folder");
  line.add_option("--unlabelled", request.unlabelled,
                  "a folder of further photos, without labels: the student learns from the teacher alone on them");
  line.add_flag("--baseline", request.baseline,
                "also train the same network from labels alone, to compare: everything takes about twice as long");
  line.add_option("--cache", request.cache, "where the teacher's outputs are stored; else OUT/cache");
  line.add_option("--device", request.device, "cpu, cuda or cuda:N").show_default();
  line.add_option("--passes", request.passes, "how often the teacher sees every photo, augmented anew; else chosen");
  line.add_option("--epochs", request.epochs, "of the student; else chosen");
  line.add_option("--size", request.size, "side of the student's pictures, in pixels; else chosen").range(32, 1024);
  line.add_option("--batch", request.batch, "photos per training step; else chosen");
  line.add_option("--exif-orientation", request.exif_orientation,
                  "ignore: photos as they are stored, as timm and torchvision read them; apply: turned upright by EXIF")
      .one_of(std::vector<std::string>{"ignore", "apply"})
      .type_name("HOW")
      .show_default();
  line.add_option("--seed", request.seed, "of augmentation, initial weights and order");
}

}  // namespace

int distil_command(int argc, char** argv) {
  keep_freed_memory();
  return guarded_main("vitrine-distil", [&] {
    CommandLine line(
        "Distils a teacher into a ResNet on a folder of photos: looks, chooses, extracts, trains, reports.");
    DistilRequest request;
    bool dry_run = false;
    std::vector<std::string> allow;
    add_options(line, request, allow);
    line.add_dry_run(dry_run, "look and choose only");
    line.footer(
        "Ctrl-C is safe, and the same command resumes. OUT/extract.toml and OUT/train.toml are what it runs: edit\n"
        "copies of them for more. Exit codes: those of vitrine-extract and vitrine-train.");
    if (const auto code = line.parse(argc, argv)) return *code;
    request.allow_module = take_allowed(allow, "module");
    request.allow_chance = take_allowed(allow, "chance");
    request.allow_empty = take_allowed(allow, "empty");
    request.allow_mixed = take_allowed(allow, "mixed");
    refuse_other_words(allow, {"chance", "empty", "mixed", "module"});
    check_request(request);
    const StopFlag& stop = stop_on_signals();
    const RequestRecord record = record_of(request);
    std::function<void()> write;
    if (!is_begun(record)) {
      const Found found = look(request, stop);
      const DistilChoice choice = choose_settings(
          found.facts, {request.passes, request.epochs, request.size, request.batch, request.hours, request.baseline});
      std::fputs(describe(request, found, choice).c_str(), stdout);
      std::fflush(stdout);
      if (dry_run) return 0;
      write = [&request, found, choice] { write_files(request, found, choice); };
    } else if (dry_run) {
      std::printf("%s: has begun; the same command without --dry-run resumes it\n", request.out.c_str());
      return 0;
    } else if (request.baseline && !path_exists(std::filesystem::path(request.out) / "baseline")) {
      note("--baseline trains another network, for about as long as cache and student take");
    }
    const FileLock lock = begin_or_resume(record, write);
    const int code = run_steps(steps_of(request, argv[0]), shell_command(argc, argv), stop);
    if (code == 0) std::fputs(summary_of(request, argv[0]).c_str(), stdout);
    return code;
  });
}

}  // namespace vitrine
