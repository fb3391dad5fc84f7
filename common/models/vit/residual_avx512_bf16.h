// The kernel of residual.h, on plain memory. Private to this folder.
#ifndef VITRINE_COMMON_MODELS_VIT_RESIDUAL_AVX512_BF16_H_
#define VITRINE_COMMON_MODELS_VIT_RESIDUAL_AVX512_BF16_H_

#include <cstddef>
#include <cstdint>

namespace vitrine {

struct ResidualRows {
  float* x;                     ///< [rows, dim]
  const std::uint16_t* branch;  ///< BF16 [rows, dim], added to x; null: none
  std::ptrdiff_t rows, dim;
};

/// x += branch; then out [rows, dim] = (x - mean) / sqrt(variance + eps) · weight + bias in BF16, unless `out` is null.
/// Requires AVX-512 and AVX512_BF16.
void residual_avx512_bf16(const ResidualRows& given, const float* weight, const float* bias, float eps,
                          std::uint16_t* out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_RESIDUAL_AVX512_BF16_H_
