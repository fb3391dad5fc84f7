// Feature maps from a transform track's coefficients, on the device that trains: the workers that read a cache are
// spared the largest part of decoding, a C × C product at every position.
#ifndef VITRINE_TRAIN_CHANNEL_BASIS_H_
#define VITRINE_TRAIN_CHANNEL_BASIS_H_

#include <torch/torch.h>

#include "common/codec/transform/basis.h"

namespace vitrine {

class ChannelBasis {
 public:
  /// Keeps copies on the device.
  ChannelBasis(const FeatureBasis& basis, at::Device device);

  /// `coefficients`: FP32 [N, C, H, W] on the device, as TransformCodec::decode_coefficients() gives them. vectorsᵀ ·
  /// this + mean, [N, C, H, W], in FP32 whatever the autocast mode; no gradient.
  at::Tensor maps(const at::Tensor& coefficients) const;

 private:
  at::Tensor turned_;  // [1, C, C]: vectorsᵀ
  at::Tensor mean_;    // [1, C, H W]
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_CHANNEL_BASIS_H_
