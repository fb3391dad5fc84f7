// The linear layer of all ViT blocks.
#ifndef VITRINE_COMMON_MODELS_VIT_DENSE_H_
#define VITRINE_COMMON_MODELS_VIT_DENSE_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include "common/models/vit/structure.h"

namespace vitrine {

/// The type of the matrix products that is fastest among those at least as precise as `type` (kBFloat16, kHalf or
/// kFloat) on this device. kFloat for kBFloat16 on CPUs that multiply BF16 more slowly than FP32: those without BF16
/// instructions, and Intel's with AVX512_FP16 whose AMX is absent or hidden by a hypervisor, where VDPBF16PS has half
/// the throughput of FP32's VFMADD231PS. A function of the processor alone, which a track records.
at::ScalarType fastest_product_type(at::ScalarType type, c10::Device device);

/// GELU (exact or tanh), x · sigmoid(1.702 x) (OpenAI's CLIP), or SiLU.
at::Tensor activate(const at::Tensor& x, VitActivation activation);

/// y = x · weightᵀ + bias. Every matrix product with weights in a ViT's blocks is one of these.
///
/// A frozen layer holds its weights in its type, cast once, and takes any floating-point x, which it casts; the result
/// has that type. On an x86-64 CPU, FP32 weights, and BF16 weights where there are BF16 instructions (AVX512_BF16 or
/// AMX), are packed for oneDNN, with an FP32 bias and the activation fused into its product: they act on the FP32
/// accumulator.
class DenseImpl : public torch::nn::Module {
 public:
  /// Weights from N(0, 0.02²), biases 0, from the default CPU generator; timm truncates at ±2, which is 100 standard
  /// deviations. `random` = false leaves them uninitialised, for weights that are loaded.
  DenseImpl(std::int64_t in, std::int64_t out, bool bias, bool random);
  /// With a convolution's weights [out, channels, height, width] (copied) and bias (or undefined) over whole patches.
  DenseImpl(const at::Tensor& convolution, const at::Tensor& bias);

  /// x: [..., in]. Returns [..., out].
  at::Tensor forward(const at::Tensor& x) const;
  /// The same with a bias from elsewhere, [out] or undefined. The layer must have none.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& outer_bias) const;
  /// activate(forward(x)).
  at::Tensor forward_activated(const at::Tensor& x, VitActivation activation) const;

  /// What freeze() changes in FP32 before it casts; undefined tensors change nothing.
  struct Folded {
    at::Tensor scale;  ///< [out]: the outputs are multiplied by it
    at::Tensor bias;   ///< [out]: instead of the layer's bias
  };
  /// Freezes the layer for inference with kBFloat16, kHalf or kFloat. Its weights are released: it can be neither saved
  /// nor loaded nor trained nor moved afterwards.
  void freeze(at::ScalarType type, const Folded& folded);

  /// Undefined in a frozen layer.
  const at::Tensor& weight() const { return weight_; }
  /// Undefined without a bias, and in a frozen layer.
  const at::Tensor& bias() const { return bias_; }

 private:
  at::Tensor packed_product(const at::Tensor& x, const char* activation, const char* algorithm) const;

  at::Tensor weight_, bias_;
  at::Tensor frozen_weight_, packed_weight_;  ///< one of them; packed_weight_ in oneDNN's layout
  at::Tensor frozen_bias_;
};
TORCH_MODULE(Dense);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_DENSE_H_
