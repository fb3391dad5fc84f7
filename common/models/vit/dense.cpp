#include <torch/torch.h>

#include "common/models/vit/dense.h"

namespace vitrine {

at::Tensor activate(const at::Tensor& x, VitActivation activation) {
  switch (activation) {
    case VitActivation::kGelu:
      return at::gelu(x);
    case VitActivation::kGeluTanh:
      return at::gelu(x, "tanh");
    case VitActivation::kQuickGelu:
      return x * at::sigmoid(1.702 * x);
    case VitActivation::kSilu:
      return at::silu(x);
  }
  throw std::logic_error("unknown activation");
}

DenseImpl::DenseImpl(std::int64_t in, std::int64_t out, bool bias, bool random) {
  if (!random) {
    weight_ = register_parameter("weight", at::empty({out, in}));
    if (bias) bias_ = register_parameter("bias", at::empty({out}));
    return;
  }
  // Constructed as a Linear first: the generator's state after a model's construction must not change.
  const torch::nn::Linear initial(torch::nn::LinearOptions(in, out).bias(bias));
  weight_ = register_parameter("weight", initial->weight);
  if (bias) bias_ = register_parameter("bias", initial->bias);
  const torch::NoGradGuard no_grad;
  weight_.normal_(0, 0.02);
  if (bias) bias_.zero_();
}

at::Tensor DenseImpl::forward(const at::Tensor& x) const {
  return at::linear(x, weight_, bias_);
}

at::Tensor DenseImpl::forward(const at::Tensor& x, const at::Tensor& outer_bias) const {
  return at::linear(x, weight_, outer_bias);
}

at::Tensor DenseImpl::forward_activated(const at::Tensor& x, VitActivation activation) const {
  return activate(forward(x), activation);
}

}  // namespace vitrine
