// The encoder's choices: where a coefficient becomes zero, and where the next level begins. Rate-distortion in the
// large: a class with few large values pays more bits for one, so its dead zone is wider. The format knows nothing of
// it. Private to this room.
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
  std::vector<std::uint8_t> negative,
      classes;       ///< 0 or 1; contexts' classes. All three [C, slots, views], with room for 64 more
  double error = 0;  ///< sum of squares against basis.offsets' levels, in the items' own unit
};

/// `items`: [C, slots, views].
void quantise(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views,
              float step, const TransformSteps& steps, Contexts& contexts, Quantised& out);

/// About the error at a step, from some of the items, their classes told by their usual size alone: to begin a search
/// with, and to tell from one step's error another's.
class SampledError {
 public:
  /// `items` as for quantise(); the arguments must outlive this.
  SampledError(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views,
               const TransformSteps& steps);
  /// In the items' own unit, for all of them.
  double at(float step);

 private:
  const FeatureBasis* basis_;
  bool dead_zone_;
  std::vector<float> sample_;        // runs of kRun items
  std::vector<std::int16_t> scale_;  // a run: of its first item, as in FeatureBasis
  std::vector<std::uint16_t> magnitude_;
  std::vector<std::uint8_t> classes_, seen_, negative_;
  double share_ = 1;  // of all items
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
