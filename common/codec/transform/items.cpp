#include "common/codec/transform/items.h"

#include <algorithm>
#include <vector>

#include "common/codec/transform/clones.h"
#include "common/codec/transform/linear.h"

namespace vitrine::transform {
namespace {

// out [outer, m, inner] = matrix [m, m] · in [outer, m, inner] along the middle; the transposed matrix for the inverse. Sums run
// in order of the middle axis.
VITRINE_CLONES void along(const float* matrix, bool transposed, const float* in, float* out, std::size_t outer, std::size_t m,
                          std::size_t inner) {
  constexpr std::size_t kLanes = 32;
  const std::size_t row = transposed ? 1 : m, column = transposed ? m : 1;
  for (std::size_t o = 0; o < outer; ++o)
    for (std::size_t first = 0; first < inner; first += kLanes) {
      const float* from = in + o * m * inner + first;
      float* to = out + o * m * inner + first;
      if (inner - first >= kLanes) {
        for (std::size_t i = 0; i < m; ++i) {
          float sums[kLanes] = {};
          for (std::size_t j = 0; j < m; ++j) {
            const float factor = matrix[i * row + j * column];
            for (std::size_t l = 0; l < kLanes; ++l) sums[l] += factor * from[j * inner + l];
          }
          for (std::size_t l = 0; l < kLanes; ++l) to[i * inner + l] = sums[l];
        }
      } else {
        for (std::size_t i = 0; i < m; ++i)
          for (std::size_t l = 0; l < inner - first; ++l) {
            float sum = 0;
            for (std::size_t j = 0; j < m; ++j) sum += matrix[i * row + j * column] * from[j * inner + l];
            to[i * inner + l] = sum;
          }
      }
    }
}

#if defined(__GNUC__) && defined(__x86_64__)
// in [rows of stride], 8 × 8, to out transposed.
typedef float Eight __attribute__((vector_size(32)));
typedef int Choice __attribute__((vector_size(32)));
inline __attribute__((always_inline)) void transpose8(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
  Eight r[8], s[8];
  for (int i = 0; i < 8; ++i) __builtin_memcpy(&r[i], in + static_cast<std::size_t>(i) * in_stride, sizeof r[i]);
  // Pairs of single values, then of two, then of four, change places.
  for (int i = 0; i < 8; i += 2) {
    s[i] = __builtin_shuffle(r[i], r[i + 1], Choice{0, 8, 2, 10, 4, 12, 6, 14});
    s[i + 1] = __builtin_shuffle(r[i], r[i + 1], Choice{1, 9, 3, 11, 5, 13, 7, 15});
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = i; j < i + 2; ++j) {
      r[j] = __builtin_shuffle(s[j], s[j + 2], Choice{0, 1, 8, 9, 4, 5, 12, 13});
      r[j + 2] = __builtin_shuffle(s[j], s[j + 2], Choice{2, 3, 10, 11, 6, 7, 14, 15});
    }
  for (int j = 0; j < 4; ++j) {
    s[j] = __builtin_shuffle(r[j], r[j + 4], Choice{0, 1, 2, 3, 8, 9, 10, 11});
    s[j + 4] = __builtin_shuffle(r[j], r[j + 4], Choice{4, 5, 6, 7, 12, 13, 14, 15});
  }
  for (int i = 0; i < 8; ++i) __builtin_memcpy(out + static_cast<std::size_t>(i) * out_stride, &s[i], sizeof s[i]);
}
#else
inline void transpose8(const float* in, std::size_t in_stride, float* out, std::size_t out_stride) {
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}
#endif

// out (rows of out_stride) = in [rows of in_stride, columns] transposed.
VITRINE_CLONES void transpose_strided(const float* in, std::size_t in_stride, std::size_t rows, std::size_t columns, float* out,
                                      std::size_t out_stride) {
  const std::size_t whole_rows = rows / 8 * 8, whole_columns = columns / 8 * 8;
  for (std::size_t j = 0; j < whole_columns; j += 8)
    for (std::size_t i = 0; i < whole_rows; i += 8)
      transpose8(in + i * in_stride + j, in_stride, out + j * out_stride + i, out_stride);
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = j < whole_columns ? whole_rows : 0; i < rows; ++i) out[j * out_stride + i] = in[i * in_stride + j];
}

struct Scratch {
  std::vector<float> a, b;
  void fit(std::size_t n) {
    if (a.size() < n) a.resize(n);
    if (b.size() < n) b.resize(n);
  }
};

Scratch& scratch(std::size_t n) {
  static thread_local Scratch mine;
  mine.fit(n);
  return mine;
}

}  // namespace

void to_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views, std::span<float> out) {
  const std::size_t each = basis.values();
  std::vector<float> centred(each);
  for (std::size_t v = 0; v < views; ++v) {
    for (std::size_t i = 0; i < each; ++i) centred[i] = values[v * each + i] - basis.mean[i];
    multiply(basis.vectors.data(), centred.data(), out.data() + v * each, basis.channels, basis.channels, basis.positions());
  }
}

void from_coefficients(const FeatureBasis& basis, std::span<const float> coefficients, std::uint32_t views, std::span<float> out) {
  const std::size_t each = basis.values(), c = basis.channels;
  static thread_local std::vector<float> inverse;
  if (inverse.size() < c * c) inverse.resize(c * c);
  transpose(basis.vectors.data(), inverse.data(), c, c);
  for (std::size_t v = 0; v < views; ++v) {
    float* own = out.data() + v * each;
    multiply(inverse.data(), coefficients.data() + v * each, own, c, c, basis.positions());
    for (std::size_t i = 0; i < each; ++i) own[i] += basis.mean[i];
  }
}

void to_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> coefficients, std::uint32_t views,
              std::span<float> items) {
  const std::size_t positions = basis.positions(), each = basis.values(), n = positions * views;
  Scratch& s = scratch(n);
  for (std::size_t k = 0; k < basis.channels; ++k) {
    transpose_strided(coefficients.data() + k * positions, each, views, positions, s.a.data(), views);
    if (basis.spatial()) {
      along(basis.rows.data(), false, s.a.data(), s.b.data(), 1, basis.height, basis.width * views);
      along(basis.columns.data(), false, s.b.data(), s.a.data(), basis.height, basis.width, views);
    }
    for (std::size_t slot = 0; slot < positions; ++slot)
      std::copy_n(s.a.data() + slots.position[slot] * views, views, items.data() + k * n + slot * views);
  }
}

void from_items(const FeatureBasis& basis, const Slots& slots, const float* items, std::uint32_t channel, std::uint32_t views,
                std::span<float> coefficients) {
  const std::size_t positions = basis.positions(), each = basis.values();
  Scratch& s = scratch(positions * views);
  for (std::size_t slot = 0; slot < positions; ++slot)
    std::copy_n(items + slot * views, views, s.a.data() + slots.position[slot] * views);
  if (basis.spatial()) {
    along(basis.columns.data(), true, s.a.data(), s.b.data(), basis.height, basis.width, views);
    along(basis.rows.data(), true, s.b.data(), s.a.data(), 1, basis.height, basis.width * views);
  }
  transpose_strided(s.a.data(), views, positions, views, coefficients.data() + channel * positions, each);
}

}  // namespace vitrine::transform
