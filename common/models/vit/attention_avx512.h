// The AVX-512 kernels of attention.h, on plain memory. Private to this folder.
#ifndef VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_
#define VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_

#include <cstddef>
#include <cstdint>

namespace vitrine {

/// One head of one view, [tokens, width]; the values of a token are adjacent.
template <class Value>
struct HeadRows {
  const Value* data;
  std::ptrdiff_t stride;  ///< values from one token to the next
};

/// out[t] = softmax(q[t] kᵀ + bias[t]) v.
template <class Value>
struct AttentionHead {
  HeadRows<Value> q, k, v;
  const float* bias;  ///< [tokens, tokens]; null: none
  std::ptrdiff_t tokens, width;
  Value* out;  ///< [tokens, width], `out_stride` values from one token to the next
  std::ptrdiff_t out_stride;
};

/// Fewer tokens are left to LibTorch.
inline constexpr std::ptrdiff_t kLeastAttentionTokens = 6;

/// Floats of scratch memory, aligned to 64 bytes, for attention_avx512() and attention_avx512_bf16().
std::ptrdiff_t attention_scratch(std::ptrdiff_t tokens, std::ptrdiff_t width);
std::ptrdiff_t attention_scratch_bf16(std::ptrdiff_t tokens, std::ptrdiff_t width);

/// For tokens >= kLeastAttentionTokens. Requires best_isa() == Isa::kAvx512.
void attention_avx512(const AttentionHead<float>& head, float* scratch);
/// The same of BF16 values, as bits; width and strides of q and k must be even. Scores and sums are FP32, weights are
/// rounded to BF16. Requires AVX512_BF16 too.
void attention_avx512_bf16(const AttentionHead<std::uint16_t>& head, float* scratch);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ATTENTION_AVX512_H_
