#include "common/models/vit/dense.h"

#include <torch/nn/modules/linear.h>
#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include "common/models/instruction_sets.h"

namespace vitrine {
namespace {

// oneDNN's products with packed weights, which LibTorch has for its own compiler and exports by name only.
at::Tensor pack_weight(const at::Tensor& weight) {
  static const auto pack = c10::Dispatcher::singleton()
                               .findSchemaOrThrow("mkldnn::_reorder_linear_weight", "")
                               .typed<at::Tensor(const at::Tensor&, std::optional<std::int64_t>)>();
  return pack.call(weight, std::nullopt);
}

at::Tensor multiply_packed(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                           std::string_view activation, std::string_view algorithm) {
  using Product = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, std::string_view,
                             c10::List<std::optional<at::Scalar>>, std::optional<std::string_view>);
  static const auto product =
      c10::Dispatcher::singleton().findSchemaOrThrow("mkldnn::_linear_pointwise", "").typed<Product>();
  return product.call(x, weight, bias.defined() ? std::optional(bias) : std::nullopt, activation,
                      c10::List<std::optional<at::Scalar>>(), algorithm);
}

bool is_intel() {
#if defined(__x86_64__)
  return __builtin_cpu_is("intel") != 0;
#else
  return false;
#endif
}

bool can_pack(const at::Tensor& weight) {
#if defined(__x86_64__)
  if (!weight.is_cpu() || !at::globalContext().userEnabledMkldnn()) return false;
  return weight.scalar_type() == at::kFloat || (weight.scalar_type() == at::kBFloat16 && cpu_has("avx512_bf16"));
#else
  return false && weight.defined();
#endif
}

}  // namespace

at::ScalarType fastest_product_type(at::ScalarType type, c10::Device device) {
  if (type != at::kBFloat16 || !device.is_cpu()) return type;
  if (cpu_has("amx_bf16")) return type;
  const bool slow = !cpu_has("avx512_bf16") || (is_intel() && cpu_has("avx512_fp16"));
  return slow ? at::kFloat : type;
}

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
  const at::NoGradGuard no_grad;
  weight_.normal_(0, 0.02);
  if (bias) bias_.zero_();
}

DenseImpl::DenseImpl(const at::Tensor& convolution, const at::Tensor& bias)
    : weight_(convolution.detach().flatten(1).clone()), bias_(bias.defined() ? bias.detach().clone() : bias) {}

at::Tensor DenseImpl::packed_product(const at::Tensor& x, const char* activation, const char* algorithm) const {
  return multiply_packed(x.to(packed_weight_.scalar_type()), packed_weight_, frozen_bias_, activation, algorithm);
}

at::Tensor DenseImpl::forward(const at::Tensor& x) const {
  if (packed_weight_.defined()) return packed_product(x, "none", "");
  if (frozen_weight_.defined()) return at::linear(x.to(frozen_weight_.scalar_type()), frozen_weight_, frozen_bias_);
  return at::linear(x, weight_, bias_);
}

at::Tensor DenseImpl::forward(const at::Tensor& x, const at::Tensor& outer_bias) const {
  return at::linear(x, weight_, outer_bias);
}

at::Tensor DenseImpl::forward_activated(const at::Tensor& x, VitActivation activation) const {
  if (packed_weight_.defined() && activation == VitActivation::kGelu) return packed_product(x, "gelu", "none");
  if (packed_weight_.defined() && activation == VitActivation::kGeluTanh) return packed_product(x, "gelu", "tanh");
  if (packed_weight_.defined() && activation == VitActivation::kSilu) return packed_product(x, "swish", "");
  return activate(forward(x), activation);
}

void DenseImpl::freeze(at::ScalarType type, const Folded& folded) {
  const at::NoGradGuard no_grad;
  at::Tensor weight = weight_.detach(), bias = folded.bias.defined() ? folded.bias : bias_;
  if (folded.scale.defined()) {
    weight = weight * folded.scale.unsqueeze(1);
    if (bias.defined()) bias = bias * folded.scale;
  }
  weight = weight.to(type).contiguous();
  const bool packs = can_pack(weight);
  (packs ? packed_weight_ : frozen_weight_) = packs ? pack_weight(weight) : weight;
  if (bias.defined()) frozen_bias_ = bias.detach().to(packs ? at::kFloat : type).contiguous().clone();
  for (at::Tensor* released : {&weight_, &bias_}) {
    if (released->defined()) released->set_data(at::empty({0}, released->options()));
    *released = at::Tensor();
  }
}

}  // namespace vitrine
