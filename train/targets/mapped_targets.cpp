#include "train/targets/mapped_targets.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

#include "common/base/error.h"

namespace vitrine {

MappedTargets::MappedTargets(std::unique_ptr<const TargetSource> source, ClassMap map, std::vector<std::string> names)
    : source_(std::move(source)), map_(std::move(map)), names_(std::move(names)) {
  if (source_->shapes().topk)
    fail(
        "targets.class_map and targets.class_names, and classes that are matched by name, need all of the teacher's "
        "logits, but topk stores only the largest and the total mass of the others; extract all logits "
        "(taps.logits_encoding = \"uniform\")");
}

TargetShapes MappedTargets::shapes() const {
  TargetShapes out = source_->shapes();
  out.classes = map_.student_classes();
  out.logits = {static_cast<std::int64_t>(map_.columns().size())};
  if (map_.columns().size() < map_.student_classes()) out.columns.assign(map_.columns().begin(), map_.columns().end());
  return out;
}

GroupTargets MappedTargets::targets(GroupKey key, std::span<const Recipe> recipes,
                                    std::span<const std::uint8_t> pictures) const {
  GroupTargets out = source_->targets(key, recipes, pictures);
  if (!out.logits.empty()) out.logits = map_.compact(out.logits, plan().options().group);
  return out;
}

double MappedTargets::dropped_probability(std::uint32_t groups, const ViewMaker& views) const {
  const std::uint32_t pass = source_->passes(false).at(0), group = plan().options().group;
  groups = std::min(groups, plan().groups_per_pass());
  double mean = 0;
  for (std::uint32_t g = 0; g < groups; ++g) {
    std::vector<Recipe> group_recipes = recipes({pass, g});
    std::vector<std::uint8_t> pictures;
    if (needs_pictures()) pictures = views.group_or_mark(group_recipes, static_cast<int>(plan().options().image_size));
    mean += map_.dropped_probability(source_->targets({pass, g}, group_recipes, pictures).logits, group) / groups;
  }
  return mean;
}

}  // namespace vitrine
