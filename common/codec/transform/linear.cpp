#include "common/codec/transform/linear.h"

#include <algorithm>

#include "common/codec/transform/loops.h"

namespace vitrine::transform {

void multiply(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n) {
  products().multiply(a, b, c, m, k, n);
}

void multiply_some(const float* a, const float* b, float* c, std::size_t m, std::size_t k, std::size_t n,
                   std::span<const std::uint32_t> rows) {
  products().multiply_some(a, b, c, m, k, n, rows.data(), rows.size());
}

void add_products(const float* x, double* c, std::size_t m, std::size_t n) {
  products().add_products(x, c, m, n);
}

void transpose(const float* in, float* out, std::size_t rows, std::size_t columns) {
  constexpr std::size_t kTile = 16;
  for (std::size_t i = 0; i < rows; i += kTile)
    for (std::size_t j = 0; j < columns; j += kTile)
      for (std::size_t r = i; r < std::min(rows, i + kTile); ++r)
        for (std::size_t s = j; s < std::min(columns, j + kTile); ++s) out[s * rows + r] = in[r * columns + s];
}

}  // namespace vitrine::transform
