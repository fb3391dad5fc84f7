// Distances of two feature maps of equal shape [N, C, H, W]. No gradient to the target. With weights w [N, 1, H, W],
// sums over positions are weighted; w = 1 equals no weights.
#ifndef VITRINE_TRAIN_LOSSES_FEATURE_H_
#define VITRINE_TRAIN_LOSSES_FEATURE_H_

#include <ATen/ATen.h>

namespace vitrine {

enum class FeatureForm {
  kPlain,  ///< mean over all elements of (s − t)²
  kNormalised,  ///< mean over images of ‖s/‖s‖ − t/‖t‖‖² = 2 − 2·cos(s, t), an image's whole map as one vector
  kCosine,  ///< mean over images and positions of 1 − cos(s, t), over the channels
};

/// The cosine of a zero vector is 0, so that collapsing to zero does not pay: it costs 2 with kNormalised and 1 with
/// kCosine. Unequal shapes are a std::logic_error. `weights`: non-negative, or undefined.
at::Tensor feature_distance(const at::Tensor& student, const at::Tensor& target, FeatureForm form = FeatureForm::kPlain,
                            const at::Tensor& weights = {});

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_FEATURE_H_
