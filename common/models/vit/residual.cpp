#include "common/models/vit/residual.h"

#include <torch/nn/modules/normalization.h>
#include <ATen/ATen.h>

#include "common/models/own_kernels.h"
#include "common/models/vit/residual_avx512_bf16.h"

namespace vitrine {
namespace {

#if defined(__x86_64__)
bool is_plain(const at::Tensor& x, at::ScalarType type) {
  return x.is_cpu() && x.scalar_type() == type && x.is_contiguous();
}

/// Whether the kernel serves; `branch` may be undefined.
bool serves_residual(const at::Tensor& x, const at::Tensor& branch) {
  return has_bf16_kernels() && is_plain(x, at::kFloat) && (!branch.defined() || is_plain(branch, at::kBFloat16));
}

ResidualRows rows_of(const at::Tensor& x, const at::Tensor& branch) {
  return {x.mutable_data_ptr<float>(),
          branch.defined() ? static_cast<const std::uint16_t*>(branch.const_data_ptr()) : nullptr,
          x.numel() / x.size(-1), x.size(-1)};
}
#endif

}  // namespace

void add_branch(const at::Tensor& x, const at::Tensor& branch) {
  if (!branch.defined()) return;
#if defined(__x86_64__)
  if (serves_residual(x, branch)) return residual_avx512_bf16(rows_of(x, branch), nullptr, nullptr, 0, nullptr);
#endif
  x.add_(branch);
}

at::Tensor add_and_normalise(const at::Tensor& x, const at::Tensor& branch, const LayerNormPtr& norm,
                             at::ScalarType type) {
#if defined(__x86_64__)
  if (type == at::kBFloat16 && serves_residual(x, branch)) {
    const at::Tensor out = at::empty(x.sizes(), x.options().dtype(at::kBFloat16));
    residual_avx512_bf16(rows_of(x, branch), norm->weight.const_data_ptr<float>(), norm->bias.const_data_ptr<float>(),
                         static_cast<float>(norm->options.eps()), static_cast<std::uint16_t*>(out.mutable_data_ptr()));
    return out;
  }
#endif
  add_branch(x, branch);
  return at::layer_norm(x, norm->options.normalized_shape(), norm->weight, norm->bias, norm->options.eps());
}

}  // namespace vitrine
