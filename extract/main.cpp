#include <torch/torch.h>

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/base/stop.h"
#include "common/config/command_line.h"
#include "common/config/config.h"
#include "extract/command.h"

namespace {

// This command line with --prepare in place of a part.
std::string prepare_command(int argc, const char* const* argv) {
  const auto names_part = [](std::string_view setting) { return setting.starts_with("part="); };
  std::vector<const char*> words;
  for (int i = 0; i < argc; ++i) {
    const std::string_view word = argv[i], next = i + 1 < argc ? argv[i + 1] : "";
    constexpr std::string_view kSet = "--set=";
    const bool pair = word == "--part" || (word == "--set" && names_part(next));
    if (pair) ++i;
    if (pair || word.starts_with("--part=") || (word.starts_with(kSet) && names_part(word.substr(kSet.size()))))
      continue;
    words.push_back(argv[i]);
  }
  words.push_back("--prepare");
  return vitrine::shell_command(static_cast<int>(words.size()), words.data());
}

}  // namespace

int main(int argc, char** argv) {
  vitrine::keep_freed_memory();
  return vitrine::guarded_main("vitrine-extract", [&] {
    CLI::App app("Runs a Vision Transformer once over augmented images and keeps its outputs in a cache.");
    vitrine::ExtractOptions options;
    vitrine::add_help_keys(app, [](const std::string& word) {
      return vitrine::config_help(
          vitrine::ExtractOptions(),
          {"images", "cache", "passes", "teacher.weights", "teacher.vit.arch", "teacher.vit.classes", "teacher.mean",
           "teacher.std", "teacher.device", "teacher.precision", "taps.features", "plan.image_size"},
          word);
    });
    std::string file, part;
    std::vector<std::string> overrides;
    app.add_option("CONFIG", file, "a TOML file; see configs/")->required();
    app.add_option("--set", overrides, "key=value, overrides the file; may be repeated")->expected(1)->take_all();
    vitrine::ExtractMode mode;
    CLI::Option* const part_option = app.add_option("--part", part, "i/n or auto; same as --set part=...");
    app.add_flag("--prepare", mode.prepare_only,
                 "only prepare the cache: index, plan, check of the teacher, calibration; once, before its parts run")
        ->excludes(part_option);
    if (const auto code = vitrine::parse_command_line(app, argc, argv)) return *code;
    if (!part.empty()) overrides.push_back("part=" + part);
    vitrine::load_config(file, overrides, options);
    std::printf("%s\n", vitrine::config_as_toml(options).c_str());
    std::fflush(stdout);
    int code = 0;
    try {
      mode.prepare_command = prepare_command(argc, argv);
      code = vitrine::extract(options, mode, vitrine::stop_on_signals());
    } catch (const vitrine::Stopped& stopped) {
      vitrine::note(stopped.what());
      code = vitrine::kStoppedExitCode;
    }
    if (code == vitrine::kStoppedExitCode) vitrine::note("to go on: " + vitrine::shell_command(argc, argv));
    return code;
  });
}
