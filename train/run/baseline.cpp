#include "train/run/baseline.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <filesystem>
#include <sstream>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/config/config.h"

namespace vitrine {
namespace {

bool learns_from_labels(const PhaseOptions& phase) {
  return phase.epochs > 0 && phase.label_term && !phase.freeze_student;
}

// The keys that differ from the defaults, as "key = value".
std::vector<std::string> keys_of(const PlanOptions& plan) {
  std::istringstream lines(config_changes(plan));
  std::vector<std::string> out;
  for (std::string line; std::getline(lines, line);) out.push_back(line);
  return out;
}

void take_views_of_cache(TrainOptions& options) {
  const std::string& path = options.targets.cache;
  if (path.empty() || !path_exists(std::filesystem::path(path) / "plan.json")) return;
  const Cache cache(path);
  PlanOptions plan = cache.plan().options();
  load_config({}, keys_of(options.plan), plan);
  options.plan = plan;
  if (options.decoding == Decoding()) options.decoding = cache.index().decoding;
  if (options.targets.passes == 0) options.targets.passes = static_cast<std::uint32_t>(cache.recipe_passes().size());
}

}  // namespace

TrainOptions without_absent_targets(TrainOptions options) {
  if (options.targets.source != TargetKind::kNone) return options;
  const auto phases = {&options.schedule.align, &options.schedule.joint, &options.schedule.fine_tune};
  if (std::ranges::none_of(phases, [](const PhaseOptions* phase) { return learns_from_labels(*phase); }))
    return options;
  for (PhaseOptions* phase : phases)
    if (!learns_from_labels(*phase)) phase->epochs = 0;
  options.targets.features.clear();
  options.targets.attention.clear();
  options.targets.embedding = false;
  // Without a cache a map of classes is a contradiction, which make_source() refuses.
  if (!options.targets.cache.empty()) {
    options.targets.class_map.clear();
    options.targets.class_names.clear();
  }
  options.loss.exits_weight = 0;
  take_views_of_cache(options);
  return options;
}

void describe_baseline(const TrainOptions& given, const TrainOptions& used) {
  if (used.targets.source != TargetKind::kNone) return;
  std::string left_out;
  const auto add = [&](const std::string& what) { left_out += (left_out.empty() ? "" : ", ") + what; };
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    if (given.schedule.phases()[i]->epochs > 0 && used.schedule.phases()[i]->epochs == 0)
      add("schedule." + used.schedule.phases()[i]->name);
  for (const std::string& track : {given.targets.features, given.targets.attention})
    if (!track.empty()) add(track);
  if (given.targets.embedding) add("targets.embedding");
  if (given.targets.class_map_files().given() && !used.targets.class_map_files().given()) add("the class map");
  if (given.loss.exits_weight > 0) add("loss.exits_weight");
  if (!left_out.empty())
    note(text("targets.source = \"none\" learns from labels alone; left out, since they need a teacher: ", left_out));
  if (given.plan == used.plan) return;
  std::string own;
  for (const std::string& key : keys_of(given.plan)) own += (own.empty() ? ", but with plan." : ", plan.") + key;
  note(text("the views are those of ", used.targets.cache, " (its plan and its ", used.targets.passes, " passes",
            given.decoding == used.decoding ? "" : ", with " + used.decoding.describe(), ")", own));
}

}  // namespace vitrine
