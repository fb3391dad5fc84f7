// The channel basis V of a transform track. The student is trained on the track's coefficients directly, which saves
// the C × C product at every position that turns them into maps: V is orthonormal, so distances are preserved, and the
// feature transformer folds V into its 1×1 convolution once per step.
#ifndef VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_
#define VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_

#include <ATen/ATen.h>

#include "common/codec/transform/basis.h"

namespace vitrine {

/// V = FeatureBasis::vectors. "Rotated" maps are V·x: V applied to the channels of x [N, C, H, W].
class ChannelBasis {
 public:
  /// Copies the basis to the device.
  ChannelBasis(const FeatureBasis& basis, at::Device device);

  /// `coefficients`: FP32 [N, C, H, W] on the device, V·(x − mean) as TransformCodec::decode_coefficients() gives it;
  /// adds V·mean in place, which gives V·x.
  void add_mean(at::Tensor& coefficients) const;
  /// x from V·x, in FP32 whatever the autocast mode, without gradient.
  at::Tensor maps(const at::Tensor& rotated) const;
  /// V: [C, C] on the device.
  const at::Tensor& vectors() const { return vectors_; }

 private:
  at::Tensor vectors_;  // [C, C]
  at::Tensor mean_;     // [1, C, H, W]: V·mean
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_
