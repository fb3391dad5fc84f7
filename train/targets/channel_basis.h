// Teacher maps as a transform track's coefficients give them, without the C × C product at every position that would
// make maps of them: that product is orthonormal, so that distances are the same on either side of it, and the feature
// transformer's 1×1 convolution takes it in once a step instead.
#ifndef VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_
#define VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_

#include <torch/torch.h>

#include "common/codec/transform/basis.h"

namespace vitrine {

/// V = FeatureBasis::vectors. A map x [N, C, H, W] is turned when it is V·x, V applied to its channels.
class ChannelBasis {
 public:
  /// Keeps copies on the device.
  ChannelBasis(const FeatureBasis& basis, at::Device device);

  /// `coefficients`: FP32 [N, C, H, W] on the device, V·(x − mean) as TransformCodec::decode_coefficients() gives it;
  /// they become V·x in place.
  void add_mean(at::Tensor& coefficients) const;
  /// x from V·x, in FP32 whatever the autocast mode; no gradient.
  at::Tensor maps(const at::Tensor& turned) const;
  /// V: [C, C] on the device.
  const at::Tensor& vectors() const { return vectors_; }

 private:
  at::Tensor vectors_;  // [C, C]
  at::Tensor mean_;     // [1, C, H, W]: V·mean
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_CHANNEL_BASIS_H_
