// Pooling and head of a network, always in FP32. In BF16, logits between 8 and 16 would be multiples of 1/16: coarser
// than the cache's error bound, and with many ties.
#ifndef VITRINE_COMMON_MODELS_HEAD_H_
#define VITRINE_COMMON_MODELS_HEAD_H_

#include <torch/torch.h>

#include "common/models/autocast.h"

namespace vitrine {

/// layer(pool(x)) in FP32, also inside an Autocast: x is cast first. `pool` returns [N, features]. Returns FP32 [N,
/// classes]. On a GPU with TF32 matrix products enabled, the layer is computed in FP64 instead.
template <class Pool>
at::Tensor full_precision_head(const at::Tensor& x, const Pool& pool, const torch::nn::Linear& layer) {
  const Autocast off(x.device(), at::kFloat);
  const at::Tensor pooled = pool(x.to(at::kFloat));
  if (!x.is_cuda() || !at::globalContext().allowTF32CuBLAS()) return at::linear(pooled, layer->weight, layer->bias);
  return at::linear(pooled.to(at::kDouble), layer->weight.to(at::kDouble), layer->bias.to(at::kDouble)).to(at::kFloat);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_HEAD_H_
