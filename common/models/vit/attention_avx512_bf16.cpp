#include "common/codec/target.h"
#include "common/models/vit/attention_avx512.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

VITRINE_BEGIN_AVX512_BF16
namespace vitrine::avx512_bf16_attention {
namespace {

// Two BF16 values, whatever their memory was declared as.
using Word = std::uint32_t __attribute__((may_alias, aligned(2)));
using Value = std::uint16_t;
using Vector = __m512i;
constexpr std::ptrdiff_t kValues = 2;

inline __m512i load(__mmask16 mask, const Word* from) {
  return _mm512_maskz_loadu_epi32(mask, from);
}

inline __m512 multiply_add(Word a, __m512i b, __m512 sum) {
  return _mm512_dpbf16_ps(sum, __m512bh(_mm512_set1_epi32(static_cast<int>(a))), __m512bh(b));
}

// To the nearest, ties to even.
inline __m256i rounded(__m512 x) {
  return (__m256i)_mm512_cvtneps_pbh(x);
}

constexpr float kLog2E = 1.44269504f;

inline __m512 offset_of(__m512 largest) {
  return _mm512_mul_ps(largest, _mm512_set1_ps(kLog2E));
}

// To 5e-5 of its value, a fortieth of what rounding to BF16 adds: powers of two, Taylor's polynomial in [-1/2, 1/2]. A
// NaN stays one.
inline __m512 exponential(__m512 x, __m512 offset) {
  x = _mm512_max_ps(_mm512_set1_ps(-150.0f), _mm512_fmsub_ps(x, _mm512_set1_ps(kLog2E), offset));
  const __m512 n = _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT);
  const __m512 f = _mm512_sub_ps(x, n);
  __m512 p = _mm512_set1_ps(0.00961813f);
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.05550411f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.24022651f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(0.69314718f));
  p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.0f));
  return _mm512_scalef_ps(p, n);
}

// In place: a row's weights take the first half of its scores. Zero behind the last token, which may share its word.
inline void store_weights(__m512 x, __mmask16 mask, float* row, std::ptrdiff_t at) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(reinterpret_cast<char*>(row) + 2 * at),
                      rounded(_mm512_maskz_mov_ps(mask, x)));
}

inline void store_out(__m512 x, __mmask16 mask, std::uint16_t* out) {
  _mm256_mask_storeu_epi16(out, mask, rounded(x));
}

#include "common/models/vit/attention_loops.inc"

// Words of two tokens' values, [words of the tokens, whole_vectors(width)]; 0 in the place of a token that is missing.
void pack_values(const HeadRows<std::uint16_t>& v, std::ptrdiff_t tokens, std::ptrdiff_t width, Word* packed) {
  const std::ptrdiff_t wide = whole_vectors(width);
  for (std::ptrdiff_t word = 0; word < words_of(tokens); ++word)
    for (std::ptrdiff_t d = 0; d < width; d += kLanes) {
      const __mmask16 mask = lanes_below(width - d);
      const auto values_of = [&](std::ptrdiff_t token) {
        return token < tokens ? _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, v.data + token * v.stride + d))
                              : _mm512_setzero_si512();
      };
      _mm512_storeu_si512(packed + word * wide + d,
                          _mm512_or_si512(values_of(2 * word), _mm512_slli_epi32(values_of(2 * word + 1), 16)));
    }
}

Rows rows(const HeadRows<std::uint16_t>& head) {
  return {reinterpret_cast<const Word*>(head.data), head.stride / kValues};
}

}  // namespace

std::ptrdiff_t floats(std::ptrdiff_t tokens, std::ptrdiff_t width) {
  return scratch_floats(tokens, width);
}

void run(const AttentionHead<std::uint16_t>& head, float* memory) {
  const Scratch scratch = divide(memory, head.tokens, head.width);
  pack_values(head.v, head.tokens, head.width, scratch.values);
  attend(rows(head.q), rows(head.k), {scratch.values, whole_vectors(head.width)}, head.bias, head.tokens, head.width,
         head.out, head.out_stride, scratch);
}

}  // namespace vitrine::avx512_bf16_attention
VITRINE_END_TARGET

namespace vitrine {

std::ptrdiff_t attention_scratch_bf16(std::ptrdiff_t tokens, std::ptrdiff_t width) {
  return avx512_bf16_attention::floats(tokens, width);
}

void attention_avx512_bf16(const AttentionHead<std::uint16_t>& head, float* scratch) {
  avx512_bf16_attention::run(head, scratch);
}

}  // namespace vitrine

#endif
