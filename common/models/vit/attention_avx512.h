// The AVX-512 kernel of attention.h, on plain memory. Private to this folder.
#ifndef VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_
#define VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_

#include <cstddef>

namespace vitrine {

/// One head of one view, [tokens, width]; the values of a token are adjacent.
struct HeadRows {
  const float* data;
  std::ptrdiff_t stride;  ///< floats from one token to the next
};

/// Fewer tokens are left to LibTorch.
inline constexpr std::ptrdiff_t kLeastAttentionTokens = 6;

/// Floats of scratch memory for attention_avx512().
std::ptrdiff_t attention_scratch(std::ptrdiff_t tokens, std::ptrdiff_t width);

/// out[t] = softmax(q[t] kᵀ + bias[t]) v, for tokens >= kLeastAttentionTokens. `bias`: [tokens, tokens] or null. out:
/// [tokens, width] with `out_stride` floats from one token to the next. `scratch`: attention_scratch() floats, aligned
/// to 64 bytes. Requires best_isa() == Isa::kAvx512.
void attention_avx512(HeadRows q, HeadRows k, HeadRows v, const float* bias, std::ptrdiff_t tokens,
                      std::ptrdiff_t width, float* out, std::ptrdiff_t out_stride, float* scratch);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_
