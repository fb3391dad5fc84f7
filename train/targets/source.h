// The interface to a student's views and targets, which come from a cache, a live teacher, or labels alone.
#ifndef VITRINE_TRAIN_TARGETS_SOURCE_H_
#define VITRINE_TRAIN_TARGETS_SOURCE_H_

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/codec/transform/basis.h"
#include "common/plan/epoch.h"
#include "common/plan/plan.h"
#include "common/plan/recipe.h"

namespace vitrine {

/// The targets of one group, decoded to FP32, [group, shape...] each; empty or undefined: absent. With
/// TargetShapes::topk, logits are rows packed by losses/topk.h.
struct GroupTargets {
  std::vector<float> logits;
  std::vector<at::Tensor> features;  ///< one per feature track, on the CPU; coefficients if the track has a basis
  std::vector<float> attention;
  std::vector<float> embedding;
};

/// Shapes of one view's targets: [K] (topk: [2k + 1]), [C, H, W], [heads, H, W], [D]; empty: absent in every
/// pass.
struct TargetShapes {
  std::vector<std::int64_t> logits;
  std::vector<std::vector<std::int64_t>> features;  ///< one per track that targets.features names
  /// One per feature track: the basis of the coefficients that TransformCodec::decode_coefficients() returns (see
  /// channel_basis.h); null: features are plain maps.
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  std::vector<std::int64_t> attention;
  std::vector<std::int64_t> embedding;
  std::int64_t classes = 0;  ///< the teacher's, or with a class map the student's; 0 without logits
  /// Set when a class map leaves some of the student's classes without a counterpart: the student's class of each
  /// column of the logits.
  std::vector<std::int64_t> columns;
  bool topk = false;  ///< logits are packed rows of the k largest
};

/// Immutable after construction and thread-safe (with a live CPU teacher, each calling thread should use
/// at::set_num_threads(1)).
class TargetSource {
 public:
  virtual ~TargetSource() = default;

  virtual const Plan& plan() const = 0;
  virtual TargetShapes shapes() const = 0;
  /// The tracks behind targets(), logits first: those read from a cache, or those that a cache made now from the live
  /// teacher would have. Empty without targets.
  virtual std::vector<TrackInfo> tracks() const { return {}; }
  /// The names of the classes of the logits, in their order, where the teacher or its cache knows them; else empty.
  virtual std::vector<std::string> class_names() const { return {}; }
  /// The teacher's class names that its logits are mapped by; empty where they are mapped by files or taken in the
  /// order of the student's classes.
  virtual std::vector<std::string> matched_names() const { return {}; }
  /// Passes that epochs may use, ascending; with `features`, those that have every feature and attention target.
  virtual std::vector<std::uint32_t> passes(bool features) const = 0;
  /// Whether an epoch uses the pass of its own number, so that a run of another length has the same in each epoch;
  /// else epochs cycle through the passes.
  virtual bool new_pass_each_epoch() const { return false; }
  virtual std::vector<Recipe> recipes(GroupKey key) const = 0;
  /// The hash of the group's view at position group % plan.group as the teacher saw it, if recorded.
  virtual std::optional<std::uint64_t> picture_hash(GroupKey key) const = 0;
  /// Whether targets() needs the group's pictures at the teacher's size.
  virtual bool needs_pictures() const { return false; }
  /// `recipes`: of the group, with views without a picture marked (ViewMaker::group_or_mark); their targets are blank.
  /// `pictures`: [group, S, S, 3] at the plan's image size if needs_pictures(), else empty.
  virtual GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                               std::span<const std::uint8_t> pictures) const = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_SOURCE_H_
