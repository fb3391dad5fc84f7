// Calibration: computes a track's basis from some of its features.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_CALIBRATOR_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_CALIBRATOR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"

namespace vitrine {

/// Accumulates in double precision; the result depends on the order of add().
class Calibrator {
 public:
  Calibrator(std::uint32_t channels, std::uint32_t height, std::uint32_t width);
  /// `values`: [views, C, H, W], finite. Keeps a copy of the first views, at most 256 MiB, for finish().
  void add(std::span<const float> values, std::uint32_t views);
  std::uint64_t views() const { return views_; }
  /// Chooses whether to transform over channels and over positions, and the confidence, such that the kept views take
  /// the fewest bytes at `max_error` in groups of `group` views. Throws Error when there were no views or the features
  /// are constant.
  FeatureBasis finish(double max_error, std::uint32_t group) const;

 private:
  std::uint32_t channels_, height_, width_;
  std::uint64_t views_ = 0;
  std::vector<double> sums_;      // [C, H, W]
  std::vector<double> products_;  // [C, C], lower triangle
  std::vector<float> kept_;       // [kept views, C, H, W]
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_CALIBRATOR_H_
