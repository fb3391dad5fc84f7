#include "train/run/command.h"

#include <ATen/ATen.h>

#include <cstdio>
#include <filesystem>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "common/config/config.h"
#include "train/evaluation/report.h"
#include "train/run/evaluate_checkpoint.h"
#include "train/run/finished_run.h"
#include "train/run/options.h"
#include "train/run/trainer.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

void tell(const TrainOptions& options, const TrainResult& result) {
  if (result.already_finished) std::printf("%s: this run was finished before; its result:\n", options.output.c_str());
  const std::string weights = result.of_best ? text("best weights (epoch ", result.best.epoch, ")") : "last weights";
  if (const auto& accuracy = result.accuracy())
    std::printf("top-1 %.2f %%, top-5 %.2f %% on %llu images (%s), of the %s\n", 100 * accuracy->top1,
                100 * accuracy->top5, static_cast<unsigned long long>(accuracy->images),
                result.test ? "test" : "validation", weights.c_str());
  if (const auto& last = result.last_accuracy())
    std::printf("top-1 %.2f %%, top-5 %.2f %% there, of the last weights\n", 100 * last->top1, 100 * last->top5);
  if (result.agreement)
    std::printf("agrees with the teacher on %.2f %% of the validation images, with the %s\n", 100 * *result.agreement,
                weights.c_str());
  if (result.best.has_value())
    std::printf("best: %s %.2f %% on the validation images after epoch %llu (step %llu), %s\n",
                result.best.chosen_by == "top1" ? "top-1" : "agreement", 100 * result.best.score,
                static_cast<unsigned long long>(result.best.epoch), static_cast<unsigned long long>(result.best.step),
                RunFiles(options.output).best_weights().c_str());
  for (const auto& [track, stage] : result.stages)
    std::printf("%s was distilled into layer%u at size %u\n", track.c_str(), stage, result.size);
  std::printf("%s: %llu steps in %.0f s\n", options.output.c_str(), static_cast<unsigned long long>(result.steps),
              result.wall_seconds);
  for (const std::string& remark : result.remarks) std::printf("%s\n", remark.c_str());
}

// Everything is checked and described, nothing written.
int dry_run(const TrainOptions& options) {
  if (const auto before = finished_run(options)) {
    tell(options, *before);
    return 0;
  }
  try {
    Trainer(options, stop_on_signals()).check(stop_on_signals());
  } catch (const Stopped& stopped) {
    note(stopped.what());
    return kStoppedExitCode;
  }
  std::printf("%s: dry run: everything fits, nothing was written\n", options.output.c_str());
  return 0;
}

// `command`: the command line as typed.
int train(const TrainOptions& options, std::string command) {
  if (const auto before = finished_run(options)) {
    tell(options, *before);
    return 0;
  }
  const StopFlag& stop = stop_on_signals();
  try {
    Trainer trainer(options, stop);
    const TrainResult result = trainer.run(stop);
    if (result.finished) {
      tell(options, result);
      return 0;
    }
    if (options.restart) command += " --set restart=false";  // the earlier run has been moved aside
    if (!stop) command += " --set max_steps=0";
    std::printf("stopped after step %llu of %llu\nto resume: %s\n", static_cast<unsigned long long>(result.steps),
                static_cast<unsigned long long>(trainer.steps()), command.c_str());
    return stop ? kStoppedExitCode : 0;
  } catch (const Stopped& stopped) {
    std::printf("%s; nothing was written\nto resume: %s\n", stopped.what(), command.c_str());
    return kStoppedExitCode;
  }
}

}  // namespace

int train_command(int argc, char** argv) {
  keep_freed_memory();
  return guarded_main("vitrine-train", [&] {
    CommandLine line(
        "Trains a ResNet from a cache of a Vision Transformer's targets, from a live teacher, or from labels alone; or "
        "a ViT from labels.");
    line.add_help_keys([](const std::string& word) {
      return config_help(
          TrainOptions(),
          {"images", "validation", "output", "model.arch", "targets.source", "targets.cache", "targets.features",
           "targets.attention", "schedule.epochs", "schedule.joint.lr", "batch", "device"},
          word);
    });
    std::string file;
    std::vector<std::string> overrides;
    const auto config = line.add_option("CONFIG", file,
                                        "a TOML file; see configs/. Optional with --evaluate: a run's directory has a "
                                        "config.toml, and weights record their model");
    line.add_option("--set", overrides, "key=value, overrides the file; may be repeated").repeatable();
    std::vector<std::string> allow;
    line.add_option(
            "--allow", allow,
            "differences between cache, teacher and checkpoint to accept, in addition to those of the key allow: " +
                allowance_words() + "; module: run the code in targets.teacher.module")
        .type_name("WORD[,WORD...]")
        .repeatable();
    std::string checkpoint, images;
    bool json = false;
    const auto evaluate = line.add_option(
        "--evaluate", checkpoint,
        "evaluate weights (a .safetensors file, or a run's directory: its best weights if any were selected, else its "
        "last ones) on --images or on the configuration's test or validation images: accuracy, also per class, "
        "calibration error, and agreement with targets.teacher if its weights are given");
    line.add_option("--images", images, "with --evaluate: a folder of class folders with the model's class names")
        .needs(evaluate);
    line.add_flag("--json", json, "with --evaluate: the result as JSON").needs(evaluate);
    bool dry = false;
    line.add_dry_run(dry, "check everything, describe the run and its memory").excludes(evaluate);
    line.footer(kExitCodeWords);
    if (const auto code = line.parse(argc, argv)) return *code;
    if (evaluate.given() && checkpoint.empty())
      fail("--evaluate is empty; expected a .safetensors file or a run's directory");
    if (evaluate.given() && !path_exists(checkpoint))
      fail("--evaluate ", checkpoint, ": does not exist; expected a .safetensors file or a run's directory");
    if (file.empty() && checkpoint.empty()) fail(config.name(), " is required; --help shows the usage");
    const std::filesystem::path own = RunFiles(checkpoint).config();
    if (file.empty() && directory_exists(checkpoint) && path_exists(own)) file = own.string();
    TrainOptions options;
    load_config(file, overrides, options);
    options.targets.teacher.allow_module = take_allowed(allow, "module");
    for (const std::string& words : allow) options.allow += (options.allow.empty() ? "" : ",") + words;
    if (!checkpoint.empty()) {
      if (!images.empty()) options.test = images;
      const Report report = evaluate_checkpoint(options, checkpoint, !file.empty(), overrides, stop_on_signals());
      std::fputs((json ? as_json(report) : as_text(report)).c_str(), stdout);
      return 0;
    }
    // A comment, so that what is printed reads back as a configuration.
    std::printf("# where the configuration differs from the defaults; all keys: %s\n%s\n",
                dry ? "--help-keys" : RunFiles(options.output).config().c_str(), config_changes(options).c_str());
    std::fflush(stdout);
    if (dry) return dry_run(options);
    return train(options, shell_command(argc, argv));
  });
}

}  // namespace vitrine
