// Pooling and head of a network, always in FP32. In BF16, logits between 8 and 16 would be multiples of 1/16: coarser
// than the cache's error bound, and with many ties.
#ifndef VITRINE_COMMON_MODELS_HEAD_H_
#define VITRINE_COMMON_MODELS_HEAD_H_

#include <ATen/ATen.h>

#include "common/models/autocast.h"

namespace vitrine {

/// x · weightᵀ + bias in FP32, for an FP32 x outside of an Autocast; on a GPU with TF32 matrix products enabled in
/// FP64. `bias` may be undefined.
inline at::Tensor full_precision_linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  if (!x.is_cuda() || !at::globalContext().allowTF32CuBLAS()) return at::linear(x, weight, bias);
  const at::Tensor wide = bias.defined() ? bias.to(at::kDouble) : bias;
  return at::linear(x.to(at::kDouble), weight.to(at::kDouble), wide).to(at::kFloat);
}

/// pool(x) · weightᵀ + bias in FP32, also inside an Autocast: x is cast first. `pool` returns [N, features]. Returns
/// FP32 [N, classes].
template <class Pool>
at::Tensor full_precision_head(const at::Tensor& x, const Pool& pool, const at::Tensor& weight,
                               const at::Tensor& bias) {
  const Autocast off(x.device(), at::kFloat);
  return full_precision_linear(pool(x.to(at::kFloat)), weight, bias);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_HEAD_H_
