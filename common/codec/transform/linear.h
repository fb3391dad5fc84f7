// Matrix operations on bases. All matrices are row-major. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_LINEAR_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_LINEAR_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vitrine::transform {

/// c [m, n] = a [m, k] · b [k, n]. Sums run over k in order on every machine; multiply-adds are fused where the
/// instruction set has them.
void multiply(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n);

/// The same if all rows of b except `rows` (ascending) are 0; those rows are not read.
void multiply_some(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n,
                   std::span<const std::uint32_t> rows);

/// c [n, n] += xᵀ · x for x [m, n], in double precision; only the lower triangle is valid.
void add_products(const float* x, double* c, std::size_t m, std::size_t n);

/// out [columns, rows] = in [rows, columns] transposed.
void transpose(const float* in, float* out, std::size_t rows, std::size_t columns);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_LINEAR_H_
