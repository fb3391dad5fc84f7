// The linear layer of all ViT blocks.
#ifndef VITRINE_COMMON_MODELS_VIT_DENSE_H_
#define VITRINE_COMMON_MODELS_VIT_DENSE_H_

#include <torch/torch.h>

#include "common/models/vit/structure.h"

namespace vitrine {

/// GELU (exact or tanh), x · sigmoid(1.702 x) (OpenAI's CLIP), or SiLU.
at::Tensor activate(const at::Tensor& x, VitActivation activation);

/// y = x · weightᵀ + bias. Every matrix product with weights in a ViT's blocks is one of these.
class DenseImpl : public torch::nn::Module {
 public:
  /// Weights from N(0, 0.02²), biases 0, from the default CPU generator; timm truncates at ±2, which is 100 standard
  /// deviations. `random` = false leaves them uninitialised, for weights that are loaded.
  DenseImpl(std::int64_t in, std::int64_t out, bool bias, bool random);

  /// x: [..., in]. Returns [..., out].
  at::Tensor forward(const at::Tensor& x) const;
  /// The same with a bias from elsewhere, [out] or undefined. The layer must have none.
  at::Tensor forward(const at::Tensor& x, const at::Tensor& outer_bias) const;
  /// activate(forward(x)).
  at::Tensor forward_activated(const at::Tensor& x, VitActivation activation) const;

  const at::Tensor& weight() const { return weight_; }
  /// Undefined without a bias.
  const at::Tensor& bias() const { return bias_; }

 private:
  at::Tensor weight_, bias_;
};
TORCH_MODULE(Dense);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_DENSE_H_
