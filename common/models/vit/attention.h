// softmax(q kᵀ + bias) v of a frozen ViT in FP32 on the CPU, without a matrix of scores in memory.
#ifndef VITRINE_COMMON_MODELS_VIT_ATTENTION_H_
#define VITRINE_COMMON_MODELS_VIT_ATTENTION_H_

#include <ATen/core/Tensor.h>

namespace vitrine {

/// Returns FP32 [N, tokens, heads · head_dim], contiguous. q (scaled), k, v: FP32 [N, heads, tokens, head_dim] on the
/// CPU, any strides. `bias`: FP32 [1, heads, tokens, tokens], added to the scores, or undefined. Runs on the calling
/// thread. Where LibTorch uses AVX-512 (at::get_cpu_capability(), which is recorded in a track), by an own kernel, else
/// by LibTorch's; a view's bits do not depend on the other views.
at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias);

/// The same by LibTorch's kernel.
at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ATTENTION_H_
