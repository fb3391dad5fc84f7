#include "common/models/vit/attention_avx512.h"

#include "common/codec/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>

VITRINE_BEGIN_AVX512
namespace vitrine::avx512_attention {
namespace {

using Word = float;
using Value = float;
using Vector = __m512;
constexpr std::ptrdiff_t kValues = 1;

inline __m512 load(__mmask16 mask, const float* from) {
  return _mm512_maskz_loadu_ps(mask, from);
}

inline __m512 multiply_add(float a, __m512 b, __m512 sum) {
  return _mm512_fmadd_ps(_mm512_set1_ps(a), b, sum);
}

inline __m512 offset_of(__m512 largest) {
  return largest;
}

// To 2 units in the last place; below -104 as at -104. A NaN stays one. Polynomial: Cephes' expf.
inline __m512 exponential(__m512 x, __m512 largest) {
  x = _mm512_max_ps(_mm512_set1_ps(-104.0f), _mm512_sub_ps(x, largest));
  const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT);
  __m512 r = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
  r = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), r);
  __m512 p = _mm512_set1_ps(1.9875691500e-4f);
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.3981999507e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(8.3334519073e-3f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(4.1665795894e-2f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.6666665459e-1f));
  p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.0000001201e-1f));
  p = _mm512_fmadd_ps(p, _mm512_mul_ps(r, r), _mm512_add_ps(r, _mm512_set1_ps(1.0f)));
  return _mm512_scalef_ps(p, n);
}

inline void store_weights(__m512 x, __mmask16 /*mask*/, float* row, std::ptrdiff_t at) {
  _mm512_storeu_ps(row + at, x);
}

inline void store_out(__m512 x, __mmask16 mask, float* out) {
  _mm512_mask_storeu_ps(out, mask, x);
}

#include "common/models/vit/attention_loops.inc"

}  // namespace

std::ptrdiff_t floats(std::ptrdiff_t tokens, std::ptrdiff_t width) {
  return scratch_floats(tokens, width);
}

void run(const AttentionHead<float>& head, float* memory) {
  attend({head.q.data, head.q.stride}, {head.k.data, head.k.stride}, {head.v.data, head.v.stride}, head.bias,
         head.tokens, head.width, head.out, head.out_stride, divide(memory, head.tokens, head.width));
}

}  // namespace vitrine::avx512_attention
VITRINE_END_TARGET

namespace vitrine {

std::ptrdiff_t attention_scratch(std::ptrdiff_t tokens, std::ptrdiff_t width) {
  return avx512_attention::floats(tokens, width);
}

void attention_avx512(const AttentionHead<float>& head, float* scratch) {
  avx512_attention::run(head, scratch);
}

}  // namespace vitrine

#endif
