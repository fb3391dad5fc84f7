#include "train/run/finished_run.h"

#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/shell.h"
#include "train/run/checkpoint.h"
#include "train/run/run_folder.h"
#include "train/run/run_settings.h"

namespace vitrine {
namespace {

// `folder`: now given as `key`, if it is not where the run's images were, in sentences. Throws Error if it is missing.
std::vector<std::string> remarks_on(const std::string& key, const std::string& folder,
                                    const std::optional<EvaluatedImages>& images, const std::string& otherwise,
                                    const std::string& output) {
  if (folder.empty() || (images && images->folder == place_of(folder))) return {};
  if (!directory_exists(folder))
    throw Error(ErrorKind::kInput,
                {.path = folder,
                 .what = text("is not a folder, but ", key, " names it; the run is finished, with other images"),
                 .remedy = text("give ", key, " another folder, or leave it out")});
  return {text(key, " = ", folder, ": ", images ? "the run's images were those of " + images->folder : otherwise,
               "; to evaluate it on these: vitrine-train --evaluate ", shell_word(output), " --set ",
               shell_word("test=" + folder))};
}

// What is said of a finished run whose command now has other images.
std::vector<std::string> remarks_on_images(const TrainOptions& options, const TrainResult& run) {
  constexpr const char* kUnknown = "where the run's images were is not recorded";
  std::vector<std::string> out =
      remarks_on("test", options.test, run.test_images, run.test ? kUnknown : "the run was not tested", options.output);
  if (options.validation.empty() || options.selection() == Select::kLast) return out;
  for (std::string& sentence :
       remarks_on("validation", options.validation, run.validation_images,
                  run.best.has_value() ? kUnknown : "the run was not validated", options.output))
    out.push_back(std::move(sentence));
  return out;
}

}  // namespace

std::string place_of(ImageFolders folders) {
  folders.images = resolved_path(folders.images);
  return folders.describe();
}

std::optional<TrainResult> finished_run(const TrainOptions& options) {
  TrainOptions strict = as_run(options);
  strict.extend = false;
  if (strict.output.empty() || strict.restart || !holds_run(strict.output)) return std::nullopt;
  const std::optional<Checkpoint> run = read_checkpoint(strict.output);
  if (!run || !run->finished || !settings_differences(run->settings, strict).empty()) return std::nullopt;
  std::optional<TrainResult> result = read_summary(strict.output);
  if (!result || result->steps != run->step) return std::nullopt;
  result->already_finished = true;
  result->take_scores(*run);
  result->remarks = remarks_on_images(options, *result);
  return result;
}

}  // namespace vitrine
