// The encoder's choices: where a coefficient becomes zero, and where the next level begins. Rate-distortion in the large: a class
// with few large values pays more bits for one, so its dead zone is wider. The format knows nothing of it. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// A group at one step.
struct Quantised {
  std::vector<std::uint16_t> magnitude;
  std::vector<std::uint8_t> negative, classes;  ///< 0 or 1; contexts' classes. All three [C, slots, views], with room for 64 more
  double error = 0;                             ///< sum of squares against basis.offsets' levels, in the items' own unit
};

/// `items`: [C, slots, views].
void quantise(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views, float step,
              const TransformSteps& steps, Contexts& contexts, Quantised& out);

/// About the error at a step, from a sixteenth of the items and without contexts: to begin a search with.
class SampledError {
 public:
  explicit SampledError(std::span<const float> items);
  double at(float step) const;

 private:
  std::vector<float> sample_;  // absolute values
  double share_ = 1;           // items in the sample for one in the group
};

/// round-down of 16 log2(step).
int sixteenths(float step);

/// What calibration learns from coded groups: FeatureBasis::levels and offsets.
class Tallies {
 public:
  void add(std::span<const float> items, const Quantised& group, float step);
  void add_plane(int c, int plane, std::uint64_t ones, std::uint64_t bits);
  void settle(FeatureBasis& basis) const;

 private:
  struct Mean {
    double count = 0, sum = 0;
  };
  std::array<std::array<Mean, kClasses>, 2> rest_{};  // of |y|/Δ − |k|, for |k| = 1 and beyond
  std::array<std::array<std::uint64_t, kPlanes>, kClasses> ones_{}, bits_{};
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_QUANTISE_H_
