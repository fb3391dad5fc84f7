// The encoder's choices: where a coefficient becomes zero, where the next level begins, what a level stands for. Rate-distortion
// in the large: a class with few large values pays more bits for one, so its dead zone is wider. The format knows nothing of it.
// Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// What level |k| of a class stands for: (256 |k| + offset) / 256 steps.
struct Offsets {
  std::array<std::int8_t, kClasses> one{}, more{};  ///< for |k| = 1, for |k| > 1
};

/// A group at one step.
struct Quantised {
  std::vector<std::uint16_t> magnitude;
  std::vector<std::uint8_t> negative, classes;  ///< 0 or 1; contexts' classes. All three [C, slots, views]
  Offsets offsets;
  double error = 0;  ///< sum of squares, in the items' own unit
};

/// `items`: [C, slots, views].
void quantise(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views, float step,
              Contexts& contexts, Quantised& out);

/// round-down of 16 log2(step).
int sixteenths(float step);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_
