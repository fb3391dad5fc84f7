// Makes the basis of a track from some of its features.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_CALIBRATOR_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_CALIBRATOR_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"

namespace vitrine {

/// Makes a basis from the features of some views. Sums are in double precision; the result depends on the order of
/// add().
class Calibrator {
 public:
  Calibrator(std::uint32_t channels, std::uint32_t height, std::uint32_t width);
  /// `values`: [views, C, H, W], finite. Keeps the first views as they are, at most 256 MiB of them, for finish().
  void add(std::span<const float> values, std::uint32_t views);
  std::uint64_t views() const { return views_; }
  /// Takes the form, with or without a transform over channels and one over positions, and the confidence that code the
  /// kept views smallest at `max_error` in groups of `group` views. Throws Error when there was no view, or features
  /// never vary.
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
