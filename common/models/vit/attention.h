// softmax(q kᵀ + bias) v of a frozen ViT on the CPU, where possible without a matrix of scores in memory.
#ifndef VITRINE_COMMON_MODELS_VIT_ATTENTION_H_
#define VITRINE_COMMON_MODELS_VIT_ATTENTION_H_

#include <ATen/core/Tensor.h>

namespace vitrine {

/// Returns [N, tokens, heads · head_dim] of the type of q, contiguous. q (scaled), k, v: FP32, BF16 or FP16
/// [N, heads, tokens, head_dim] on the CPU, any strides. `bias`: FP32 [1, heads, tokens, tokens], added to the scores,
/// or undefined. Runs on the calling thread. Own kernels serve FP32 and BF16
/// (own_kernels.h); else it is composed_attention(). A view's bits do not depend on the other views.
at::Tensor fused_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias);

/// The same by LibTorch's kernels: the fused one in FP32; in 16 bits two products, which are faster there.
at::Tensor composed_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, const at::Tensor& bias);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ATTENTION_H_
