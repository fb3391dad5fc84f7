#include "train/run/run_settings.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/models/weights/weights.h"
#include "common/config/config.h"
#include "train/run/baseline.h"
#include "train/run/labels.h"

namespace vitrine {
namespace {

constexpr const char* kHashed = "\"SHA-256 ";  // begins the value of a file

constexpr const char* kFree[] = {"output",           "workers",
                                 "device",           "eval_every",
                                 "checkpoint_every", "log_every",
                                 "max_steps",        "restart",
                                 "extend",           "new_passes",
                                 "validation",       "test",
                                 "images",           "unlabelled",
                                 "verify_images",    "allow",
                                 "targets.cache",    "targets.teacher.device",
                                 "bad_images",       "max_bad_share",
                                 "index_depth",      "targets.check_images"};

// Paths of files that are identified by their contents.
std::vector<std::pair<std::string, std::string>> files_of(const TrainOptions& options) {
  return {{"model.weights", options.model.weights},
          {"targets.teacher.weights", options.targets.teacher.weights},
          {"targets.teacher.module", options.targets.teacher.module},
          {"targets.teacher.zero_shot", options.targets.teacher.zero_shot},
          {"targets.class_map", options.targets.class_map},
          {"targets.class_names", options.targets.class_names}};
}

std::string hash_of(const std::string& key, const std::string& path) {
  return key.ends_with(".weights") ? sha256_of_weights(path) : sha256_hex_of_file(path);
}

using Setting = std::pair<std::string, std::string>;

std::vector<Setting> settings_of(const std::string& lines) {
  std::vector<Setting> out;
  std::istringstream in(lines);
  for (std::string line; std::getline(in, line);) {
    const std::size_t equals = line.find(" = ");
    if (equals != std::string::npos) out.emplace_back(line.substr(0, equals), line.substr(equals + 3));
  }
  return out;
}

const std::string* value_of(const std::vector<Setting>& settings, const std::string& key) {
  const auto found = std::ranges::find(settings, key, &Setting::first);
  return found == settings.end() ? nullptr : &found->second;
}

// Keys that are not given mean what the cache was made with.
bool is_left_to_cache(const std::string& key, const TrainOptions& options) {
  return (key == "exif_orientation" || key == "grey16") && options.targets.source == TargetKind::kCache &&
         options.decoding == Decoding();
}

}  // namespace

TrainOptions as_run(TrainOptions options) {
  options = without_absent_targets(without_absent_labels(std::move(options)));
  if (options.micro_batch == 0) options.micro_batch = options.batch;
  return options;
}

std::string meaningful_settings(const TrainOptions& options, const std::string& recorded) {
  const auto files = files_of(options);
  const std::vector<Setting> before = settings_of(recorded);
  const auto contents_of = [&](const std::string& key, const std::string& path) {
    const std::string* was = value_of(before, key);
    if (was != nullptr && was->starts_with(kHashed) && !path_exists(path)) return *was;
    return text(kHashed, hash_of(key, path), '"');
  };
  std::string out;
  for (const auto& [key, value] : settings_of(config_as_toml(options))) {
    if (std::ranges::find(kFree, key) != std::end(kFree)) continue;
    if (key == "threads" && options.device != "cpu") continue;
    // A cache's teacher is asked for agreement only, and compared with the cache's (provenance.h).
    if (key.starts_with("targets.teacher.") && options.targets.source == TargetKind::kCache) continue;
    // A live teacher's weights are compared as part of the checkpoint's tracks (provenance.h).
    if ((key == "targets.teacher.weights" || key == "targets.teacher.module" || key == "targets.teacher.zero_shot") &&
        options.targets.source == TargetKind::kTeacher)
      continue;
    const auto file = std::ranges::find(files, key, &Setting::first);
    out += text(key, " = ", file == files.end() || file->second.empty() ? value : contents_of(key, file->second), "\n");
  }
  return out;
}

bool is_length(const std::string& key) {
  return key.starts_with("schedule.") && key.ends_with("epochs") && !key.ends_with("warm_up_epochs");
}

std::vector<SettingDifference> settings_differences(const std::string& before, const TrainOptions& now) {
  const std::vector<Setting> old_settings = settings_of(before),
                             new_settings = settings_of(meaningful_settings(now, before)),
                             defaults = settings_of(config_as_toml(TrainOptions()));
  std::vector<SettingDifference> out;
  const auto hold = [&](const std::string& key, const std::string& was, const std::string& is) {
    if (was != is && !(now.extend && is_length(key)) && !is_left_to_cache(key, now)) out.push_back({key, was, is});
  };
  for (const auto& [key, is] : new_settings) {
    const std::string* was = value_of(old_settings, key);
    if (was == nullptr) was = value_of(defaults, key);
    if (was != nullptr) hold(key, *was, is);
  }
  // Keys that are excluded here have a default, but no line in `now`.
  for (const auto& [key, was] : old_settings)
    if (value_of(new_settings, key) == nullptr && value_of(defaults, key) == nullptr)
      out.push_back({key, was, "not a key of this version"});
  return out;
}

std::string words_of(const std::vector<SettingDifference>& differences) {
  std::string out;
  for (const SettingDifference& one : differences)
    out += text(out.empty() ? "" : ", ", one.key, " = ", one.now, " (was ", one.before, ")");
  return out;
}

}  // namespace vitrine
