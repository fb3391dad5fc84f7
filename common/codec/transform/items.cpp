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
    for (std::size_t v = 0; v < views; ++v) {
      const float* map = coefficients.data() + v * each + k * positions;
      for (std::size_t p = 0; p < positions; ++p) s.a[p * views + v] = map[p];
    }
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
  for (std::size_t v = 0; v < views; v += 16)
    for (std::size_t p = 0; p < positions; ++p)
      for (std::size_t w = v; w < std::min<std::size_t>(views, v + 16); ++w)
        coefficients[w * each + channel * positions + p] = s.a[p * views + w];
}

}  // namespace vitrine::transform
