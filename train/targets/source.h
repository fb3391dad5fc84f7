// Where a student's views and targets come from: a cache, a live teacher, or nobody. The trainer sees no difference.
#ifndef VITRINE_TRAIN_TARGETS_SOURCE_H_
#define VITRINE_TRAIN_TARGETS_SOURCE_H_

#include <torch/torch.h>

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

/// The targets of one group, decoded FP32, [group, shape...] each; empty or undefined: not there. Logits of which only
/// the largest are known are rows as losses/topk.h packs them.
struct GroupTargets {
  std::vector<float> logits;
  std::vector<at::Tensor> features;  ///< of each feature track, on the CPU; with a basis, coefficients in it
  std::vector<float> attention;
  std::vector<float> embedding;
};

/// Shapes of one view's targets: [K] (or [2 kept + 1]), [C, H, W], [heads, H, W], [D]; empty: not there in any pass.
struct TargetShapes {
  std::vector<std::int64_t> logits;
  std::vector<std::vector<std::int64_t>> features;  ///< of each track that targets.features names
  /// Of each of them: in whose basis of channels the features are, as TransformCodec::decode_coefficients() leaves
  /// them (see channel_basis.h); null: they are the maps.
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  std::vector<std::int64_t> attention;
  std::vector<std::int64_t> embedding;
  std::int64_t classes = 0;  ///< of the teacher, or with a class map of the student; 0 without logits
  /// With a class map that leaves some of the student's classes without a counterpart: those that logits are of.
  std::vector<std::int64_t> columns;
  bool topk = false;  ///< logits are packed rows of the largest
};

/// Immutable after construction; any thread (a live CPU teacher wants at::set_num_threads(1) in each).
class TargetSource {
 public:
  virtual ~TargetSource() = default;

  virtual const Plan& plan() const = 0;
  virtual TargetShapes shapes() const = 0;
  /// What targets() gives, logits first: the tracks of a cache that it reads, or those that a cache made from the live
  /// teacher now would have; empty without targets.
  virtual std::vector<TrackInfo> tracks() const { return {}; }
  /// Passes that epochs may use, ascending; with `features`, those that have every feature and attention target.
  virtual std::vector<std::uint32_t> passes(bool features) const = 0;
  virtual std::vector<Recipe> recipes(GroupKey key) const = 0;
  /// The hash of the view at position group % plan.group, as the teacher saw it, where one is kept.
  virtual std::optional<std::uint64_t> picture_hash(GroupKey key) const = 0;
  /// Whether `targets` needs the group's pictures at the teacher's size.
  virtual bool needs_pictures() const { return false; }
  /// `recipes`: of the group, with the views marked that have no picture (ViewMaker::group_or_mark); a live teacher's
  /// targets of these are blank, as a cache's are. `pictures`: [group, S, S, 3] at the plan's image size when
  /// needs_pictures(), else empty.
  virtual GroupTargets targets(GroupKey key, std::span<const Recipe> recipes,
                               std::span<const std::uint8_t> pictures) const = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_SOURCE_H_
