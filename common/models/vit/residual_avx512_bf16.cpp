#include "common/models/vit/residual_avx512_bf16.h"

#include "common/codec/target.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <cmath>

VITRINE_BEGIN_AVX512_BF16
namespace vitrine::avx512_bf16_residual {
namespace {

constexpr std::ptrdiff_t kLanes = 16;

inline __mmask16 lanes_of(std::ptrdiff_t left) {
  return left >= kLanes ? static_cast<__mmask16>(0xFFFF) : static_cast<__mmask16>((1u << left) - 1);
}

// Returns the sum of the row.
inline float add_row(float* x, const std::uint16_t* branch, std::ptrdiff_t dim) {
  __m512 sum = _mm512_setzero_ps();
  for (std::ptrdiff_t d = 0; d < dim; d += kLanes) {
    const __mmask16 mask = lanes_of(dim - d);
    __m512 value = _mm512_maskz_loadu_ps(mask, x + d);
    if (branch != nullptr) {
      const __m512i wide = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, branch + d));
      value = _mm512_add_ps(value, _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16)));
      _mm512_mask_storeu_ps(x + d, mask, value);
    }
    sum = _mm512_add_ps(sum, value);
  }
  return _mm512_reduce_add_ps(sum);
}

inline float squares_around(const float* x, float mean, std::ptrdiff_t dim) {
  const __m512 centre = _mm512_set1_ps(mean);
  __m512 sum = _mm512_setzero_ps();
  for (std::ptrdiff_t d = 0; d < dim; d += kLanes) {
    const __mmask16 mask = lanes_of(dim - d);
    const __m512 away = _mm512_maskz_sub_ps(mask, _mm512_maskz_loadu_ps(mask, x + d), centre);
    sum = _mm512_fmadd_ps(away, away, sum);
  }
  return _mm512_reduce_add_ps(sum);
}

}  // namespace

void run(const ResidualRows& given, const float* weight, const float* bias, float eps, std::uint16_t* out) {
  const auto dim = static_cast<float>(given.dim);
  for (std::ptrdiff_t row = 0; row < given.rows; ++row) {
    float* const x = given.x + row * given.dim;
    const float mean = add_row(x, given.branch == nullptr ? nullptr : given.branch + row * given.dim, given.dim) / dim;
    if (out == nullptr) continue;
    const float scale = 1.0f / std::sqrt(squares_around(x, mean, given.dim) / dim + eps);
    const __m512 centre = _mm512_set1_ps(mean), factor = _mm512_set1_ps(scale);
    for (std::ptrdiff_t d = 0; d < given.dim; d += kLanes) {
      const __mmask16 mask = lanes_of(given.dim - d);
      const __m512 normal = _mm512_mul_ps(_mm512_sub_ps(_mm512_maskz_loadu_ps(mask, x + d), centre), factor);
      const __m512 value =
          _mm512_fmadd_ps(normal, _mm512_maskz_loadu_ps(mask, weight + d), _mm512_maskz_loadu_ps(mask, bias + d));
      _mm256_mask_storeu_epi16(out + row * given.dim + d, mask, (__m256i)_mm512_cvtneps_pbh(value));
    }
  }
}

}  // namespace vitrine::avx512_bf16_residual
VITRINE_END_TARGET

namespace vitrine {

void residual_avx512_bf16(const ResidualRows& given, const float* weight, const float* bias, float eps,
                          std::uint16_t* out) {
  avx512_bf16_residual::run(given, weight, bias, eps, out);
}

}  // namespace vitrine

#endif
