// Maps the logits of a teacher of other classes to the student's classes.
#ifndef VITRINE_TRAIN_TARGETS_MAPPED_TARGETS_H_
#define VITRINE_TRAIN_TARGETS_MAPPED_TARGETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/image/views.h"
#include "common/teacher/class_map.h"
#include "train/targets/source.h"

namespace vitrine {

/// Decorates another source: maps its logits (class_map.h) with the same arithmetic for caches and live teachers, and
/// forwards everything else.
class MappedTargets : public TargetSource {
 public:
  /// `names`: the teacher's, where `map` is by name. Throws Error when the source has only the largest logits, because
  /// a column's sum over the other classes is unknown.
  MappedTargets(std::unique_ptr<const TargetSource> source, ClassMap map, std::vector<std::string> names = {});

  const Plan& plan() const override { return source_->plan(); }
  TargetShapes shapes() const override;
  std::vector<TrackInfo> tracks() const override { return source_->tracks(); }
  std::vector<std::string> matched_names() const override { return names_; }
  std::vector<std::uint32_t> passes(bool features) const override { return source_->passes(features); }
  bool new_pass_each_epoch() const override { return source_->new_pass_each_epoch(); }
  std::vector<Recipe> recipes(GroupKey key) const override { return source_->recipes(key); }
  std::optional<std::uint64_t> picture_hash(GroupKey key) const override { return source_->picture_hash(key); }
  bool needs_pictures() const override { return source_->needs_pictures(); }
  GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                       std::span<const std::uint8_t> pictures) const override;

  const ClassMap& map() const { return map_; }
  /// The teacher's probability of classes without a counterpart (at temperature 1), averaged over the first `groups`
  /// groups of the first pass, which there must be. `views` makes their pictures if the source needs them.
  double dropped_probability(std::uint32_t groups, const ViewMaker& views) const;

 private:
  std::unique_ptr<const TargetSource> source_;
  ClassMap map_;
  std::vector<std::string> names_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_MAPPED_TARGETS_H_
