#include "extract/command_line.h"

#include <ATen/ATen.h>

#include <cstdio>
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
#include "extract/evaluate.h"

namespace vitrine {
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
  return shell_command(static_cast<int>(words.size()), words.data());
}

int evaluate(const std::vector<std::string>& files, const std::vector<std::string>& overrides,
             const std::vector<std::string>& allow, bool json) {
  std::vector<ExtractOptions> configurations;
  for (const std::string& file : files) {
    ExtractOptions& options = configurations.emplace_back();
    load_config(file, overrides, options);
    take_allowed_words(allow, options);
  }
  try {
    const auto scores = evaluate_teachers(configurations, 0, stop_on_signals(), /*judge=*/true);
    std::fputs((json ? as_json(scores) : as_table(scores)).c_str(), stdout);
    std::fflush(stdout);
    for (const TeacherEvaluation& score : scores)
      for (const std::string& sentence : score.notes) note((scores.size() > 1 ? score.name + ": " : "") + sentence);
    return 0;
  } catch (const Stopped& stopped) {
    note(stopped.what());
    return kStoppedExitCode;
  }
}

}  // namespace

int extract_command(int argc, char** argv) {
  keep_freed_memory();
  return guarded_main("vitrine-extract", [&] {
    CommandLine line("Runs a Vision Transformer once over augmented images and keeps its outputs in a cache.");
    ExtractOptions options;
    line.add_help_keys([](const std::string& word) {
      return config_help(ExtractOptions(),
                         {"images", "cache", "passes", "teacher.weights", "teacher.arch", "teacher.mean", "teacher.std",
                          "teacher.device", "teacher.precision", "taps.features", "plan.image_size"},
                         word);
    });
    std::string part;
    std::vector<std::string> files, overrides;
    line.add_option("CONFIG", files, "a TOML file; see configs/. Several with --evaluate").required();
    line.add_option("--set", overrides, "key=value, overrides the file; may be repeated").repeatable();
    ExtractMode mode;
    const auto part_option = line.add_option("--part", part, "i/n or auto; same as --set part=...");
    const auto prepare_option =
        line.add_flag(
                "--prepare", mode.prepare_only,
                "only prepare the cache: index, plan, check of the teacher, calibration; once, before its parts run")
            .excludes(part_option);
    const auto recipes_option = line.add_flag(
        "--recipes", mode.recipes_only,
        "only index, plan and recipes of the passes, without a teacher: for tracks of vitrine_cache.Writer");
    std::vector<std::string> allow;
    line.add_option("--allow", allow, kAllowHelp).type_name("WORD[,WORD...]").repeatable();
    bool evaluates = false, json = false;
    const auto evaluate_option =
        line.add_flag(
                "--evaluate", evaluates,
                "only evaluate each CONFIG's teacher on check_images clean crops of the same labelled images: top-1, "
                "top-5, calibration, cost, agreement with each other; nothing is written. vitrine pilot ranks them by "
                "what "
                "students learn")
            .excludes(part_option)
            .excludes(prepare_option)
            .excludes(recipes_option);
    line.add_flag("--json", json, "with --evaluate: the result as JSON").needs(evaluate_option);
    line.add_dry_run(mode.dry_run, "check everything and the teacher, describe tracks, size and memory")
        .excludes(evaluate_option);
    line.footer(kExitCodeWords);
    if (const auto code = line.parse(argc, argv)) return *code;
    if (!part.empty()) overrides.push_back("part=" + part);
    if (evaluates) return evaluate(files, overrides, allow, json);
    if (files.size() > 1) fail("several configurations are for --evaluate; expected one");
    load_config(files.front(), overrides, options);
    take_allowed_words(allow, options);
    // A comment, so that what is printed reads back as a configuration.
    std::printf("# where the configuration differs from the defaults; all keys: --help-keys\n%s\n",
                config_changes(options).c_str());
    std::fflush(stdout);
    int code = 0;
    try {
      mode.prepare_command = prepare_command(argc, argv);
      code = extract(options, mode, stop_on_signals());
    } catch (const Stopped& stopped) {
      note(stopped.what());
      code = kStoppedExitCode;
    }
    if (code == kStoppedExitCode) note("to resume: " + shell_command(argc, argv));
    return code;
  });
}

}  // namespace vitrine
