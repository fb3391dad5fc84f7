#include "tools/commands/distil/request.h"

#include <algorithm>
#include <array>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/config/command_line.h"
#include "common/image/outside_images.h"
#include "tools/commands/distil/configuration.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

void require_directory(const std::string& path, const char* what) {
  if (path.empty() || directory_exists(path)) return;
  throw Error(ErrorKind::kInput,
              {.path = path, .what = path_exists(path) ? "is not a directory" : "does not exist", .remedy = what});
}

// A folder of "train" and "val" is one level too high.
void refuse_splits(const std::string& photos) {
  static constexpr std::array kSplits{"train", "training", "val", "valid", "validation", "test", "unlabelled"};
  const std::vector<DirectoryEntry> entries = list_directory(photos);
  const auto is_split = [](const DirectoryEntry& entry) {
    return entry.kind != DirectoryEntry::Kind::kDirectory || entry.name.starts_with('.') ||
           std::ranges::find(kSplits, entry.name) != kSplits.end();
  };
  const auto has = [&](const char* name) { return directory_exists(fs::path(photos) / name); };
  if (!has("train") || !std::ranges::all_of(entries, is_split)) return;
  const std::string train = (fs::path(photos) / "train").string(), val = (fs::path(photos) / "val").string();
  const std::array words{train.c_str(), "--val", val.c_str()};
  throw Error(ErrorKind::kInput, {.path = photos,
                                  .what = "holds train and its like, not a folder per class",
                                  .remedy = "give " + shell_command(has("val") ? 3 : 1, words.data())});
}

std::size_t folders_in(const std::string& photos) {
  std::size_t count = 0;
  for (const DirectoryEntry& entry : list_directory(photos))
    count += entry.kind == DirectoryEntry::Kind::kDirectory && !entry.name.starts_with('.') ? 1 : 0;
  return count;
}

}  // namespace

std::string DistilRequest::cache_directory() const {
  return cache.empty() ? (fs::path(out) / "cache").string() : cache;
}

nlohmann::ordered_json DistilRequest::json() const {
  const std::string orientation = exif_orientation == "ignore" ? "" : exif_orientation;  // as in earlier versions
  // A baseline shortens everything else where the hours are given; without them it can be added later.
  const nlohmann::ordered_json counted =
      hours > 0 && baseline ? nlohmann::ordered_json(true) : nlohmann::ordered_json();
  return {{"photos", resolved_path(photos).string()},
          {"unlabelled", resolved_path(unlabelled).string()},
          {"validation", resolved_path(validation).string()},
          {"test", resolved_path(test).string()},
          {"teacher", resolved_path(teacher).string()},
          {"module", allow_module},
          {"student", student},
          {"weights", resolved_path(student_weights).string()},
          {"cache", resolved_path(cache_directory()).string()},
          {"device", device},
          {"exif_orientation", orientation},
          {"hours", hours},
          {"baseline", counted},
          {"passes", passes},
          {"epochs", epochs},
          {"size", size},
          {"batch", batch},
          {"seed", seed},
          {"labels", !no_labels}};
}

void check_request(const DistilRequest& request) {
  require_directory(request.photos, "give the folder of the photos, with one folder per class");
  require_directory(request.unlabelled, "give the folder of the photos without labels");
  require_directory(request.validation, "give the folder of the validation photos, or leave --val out");
  require_directory(request.test, "give the folder of the test photos, or leave --test out");
  if (!path_exists(request.teacher))
    throw Error(ErrorKind::kInput, {.path = request.teacher,
                                    .what = "does not exist",
                                    .remedy = "give the teacher's weight file, or a folder with weights and "
                                              "config.json as timm or Hugging Face publish them"});
  if (!request.student_weights.empty() && !path_exists(request.student_weights))
    throw Error(ErrorKind::kInput, {.path = request.student_weights,
                                    .what = "does not exist",
                                    .remedy = "give a weight file of the student, or leave --student-weights out"});
  const std::vector<GivenPath> images = {{"PHOTOS", request.photos},
                                         {"--unlabelled", request.unlabelled},
                                         {"--val", request.validation},
                                         {"--test", request.test}};
  check_outside_images({"--out", request.out}, images);
  check_outside_images({"--cache", request.cache_directory()}, images);
  if (request.labels()) {
    const std::size_t classes = folders_in(request.photos);
    refuse_splits(request.photos);
    if (classes < 2)
      fail(request.photos, ": holds ", classes == 0 ? "no class folder" : "only one class folder",
           "; put the photos of each class into their own folder, or give --no-labels to learn from the teacher "
           "alone");
  }
  if (request.baseline && !request.labels()) fail("--baseline trains from labels alone, and --no-labels has none");
  if (!request.test.empty() && !request.labels())
    fail("--test evaluates by class folders, and --no-labels has no classes; leave one of them out");
}

RequestRecord record_of(const DistilRequest& request) {
  return {request.out, "distil", request.json(), {kClassNames, kExtractFile, kTrainFile, kBaselineFile}};
}

}  // namespace vitrine
