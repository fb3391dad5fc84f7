// Draws the random parameters of one view. Each function takes its own stream, so that changing the mixing settings
// does not change the crops.
#ifndef VITRINE_COMMON_PLAN_DRAW_H_
#define VITRINE_COMMON_PLAN_DRAW_H_

#include <cstdint>
#include <utility>
#include <vector>

#include "common/base/philox.h"
#include "common/plan/plan.h"

namespace vitrine {

/// Crop and flip of an image of height × width pixels: torchvision's RandomResizedCrop.get_params (ten tries, ratio
/// uniform in its logarithm, then the largest central crop of an allowed ratio) and RandomHorizontalFlip.
void draw_crop(const PlanOptions& options, RandomStream stream, std::uint32_t height, std::uint32_t width,
               Recipe& recipe);

/// The letterboxed view of a whole image: its longer side becomes options.image_size, the other one that times its
/// share of the longer, rounded to a pixel, at least 1; centred, an odd pixel of padding below or to the right. The
/// flip is drawn as above; it mirrors the picture in its place.
void draw_letterbox(const PlanOptions& options, RandomStream stream, std::uint32_t height, std::uint32_t width,
                    Recipe& recipe);

/// Mode, partner, λ and box of the view at `position` in its group: timm's Mixup with mode "elem" and λ corrected for
/// the clipped box. If the draw has no effect (an empty box, λ that rounds to 1), the view is not mixed.
void draw_mix(const PlanOptions& options, RandomStream stream, std::uint32_t position, Recipe& recipe);

/// Uniformly random permutation (Fisher-Yates).
template <class Value>
void shuffle(std::vector<Value>& values, RandomStream stream) {
  for (std::size_t n = values.size(); n > 1; --n) std::swap(values[n - 1], values[stream.below(n)]);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_DRAW_H_
