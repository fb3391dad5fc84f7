// The steps of a frozen ViT between its products: adding a branch to the residual stream and normalising it for the
// next one, in one pass over memory.
#ifndef VITRINE_COMMON_MODELS_VIT_RESIDUAL_H_
#define VITRINE_COMMON_MODELS_VIT_RESIDUAL_H_

#include <ATen/core/Tensor.h>

#include "common/models/module_ptr.h"

namespace vitrine {

/// x += branch. x: FP32 [N, tokens, dim], contiguous; branch: the same shape, FP32 or 16 bits, or undefined.
void add_branch(const at::Tensor& x, const at::Tensor& branch);

/// The same; then returns LayerNorm(x), [N, tokens, dim], for a product in `type`: in BF16 where that is `type` and the
/// own kernel serves (has_bf16_kernels()), else in FP32 by LibTorch. Runs on the calling thread; a row's bits do not
/// depend on the others.
at::Tensor add_and_normalise(const at::Tensor& x, const at::Tensor& branch, const LayerNormPtr& norm,
                             at::ScalarType type);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_RESIDUAL_H_
