// BatchNorm folded into the convolution before it.
#ifndef VITRINE_COMMON_MODELS_INFERENCE_FOLD_H_
#define VITRINE_COMMON_MODELS_INFERENCE_FOLD_H_

#include <ATen/core/Tensor.h>

#include "common/models/inference/layers.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

/// BatchNorm's epsilon in all layers of a ResNet.
inline constexpr double kBatchNormEpsilon = 1e-5;

/// A convolution with a bias that computes what convolution and BatchNorm compute in evaluation mode.
struct FoldedConvolution {
  at::Tensor weight;  ///< [out, in, kernel, kernel], FP32
  at::Tensor bias;    ///< [out], FP32
};

/// w' = w · γ / √(σ² + ε), b' = β − μ · γ / √(σ² + ε), in FP64 and rounded once. `weights`: those of the network that
/// `layer` is of.
FoldedConvolution fold(const Tensors& weights, const ConvolutionLayer& layer);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INFERENCE_FOLD_H_
