#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <atomic>
#include <csignal>
#include <cstdio>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/config/command_line.h"
#include "common/config/config.h"
#include "train/report.h"
#include "train/trainer.h"

namespace {

// A signal handler can reach nothing but this.
std::atomic<bool> stop_asked{false};
extern "C" void ask_to_stop(int) {
  stop_asked = true;
}

}  // namespace

int main(int argc, char** argv) {
  vitrine::keep_freed_memory();
  return vitrine::guarded_main("vitrine-train", [&] {
    CLI::App app(
        "Trains a ResNet from a cache of a Vision Transformer's targets, from a live teacher, or from labels alone; or "
        "a ViT from labels.");
    app.footer("Keys of CONFIG.toml, with their defaults:\n" + vitrine::config_help<vitrine::TrainOptions>());
    std::string file;
    std::vector<std::string> overrides;
    app.add_option("CONFIG", file, "a TOML file; see configs/")->required();
    app.add_option("--set", overrides, "key=value, over what the file says; may be given several times")
        ->expected(1)
        ->take_all();
    std::vector<std::string> allow;
    app.add_option("--allow", allow,
                   "differences between cache, teacher and checkpoint to go on with, beside those of the key allow")
        ->type_name("WORD[,WORD...]")
        ->expected(1)
        ->take_all();
    std::string checkpoint;
    bool json = false;
    auto* evaluate = app.add_option(
        "--evaluate", checkpoint,
        "judge a checkpoint (a .safetensors file or a run's directory) on CONFIG's test or validation images instead: "
        "accuracy, each class's, calibration error, and agreement with targets.teacher where its weights are given");
    app.add_flag("--json", json, "with --evaluate: the result as JSON")->needs(evaluate);
    if (const auto code = vitrine::parse_command_line(app, argc, argv)) return *code;
    vitrine::TrainOptions options;
    vitrine::load_config(file, overrides, options);
    for (const std::string& words : allow) options.allow += (options.allow.empty() ? "" : ",") + words;
    if (!checkpoint.empty()) {
      const vitrine::Report report = vitrine::evaluate_checkpoint(options, checkpoint);
      std::fputs((json ? vitrine::as_json(report) : vitrine::as_text(report)).c_str(), stdout);
      return 0;
    }
    std::printf("%s\n", vitrine::config_as_toml(options).c_str());
    std::fflush(stdout);
    vitrine::Trainer trainer(options);
    std::signal(SIGINT, ask_to_stop);
    std::signal(SIGTERM, ask_to_stop);
    const vitrine::TrainResult result = trainer.run(stop_asked);
    if (!result.finished) {
      std::printf("stopped after step %llu; run again with resume = true to go on\n",
                  static_cast<unsigned long long>(result.steps));
      return stop_asked ? 130 : 0;
    }
    if (const auto& judged = result.test ? result.test : result.validation)
      std::printf("top-1 %.2f %%, top-5 %.2f %% on %llu images (%s)\n", 100 * judged->top1, 100 * judged->top5,
                  static_cast<unsigned long long>(judged->images), result.test ? "test" : "validation");
    if (result.agreement)
      std::printf("agrees with the teacher on %.2f %% of the validation images\n", 100 * *result.agreement);
    std::printf("%s: %llu steps in %.0f s\n", options.output.c_str(), static_cast<unsigned long long>(result.steps),
                result.wall_seconds);
    return 0;
  });
}
