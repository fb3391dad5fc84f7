#include "common/codec/transform/items.h"

#include <algorithm>
#include <vector>

#include "common/codec/transform/linear.h"
#include "common/codec/transform/loops.h"

namespace vitrine::transform {
namespace {

struct Scratch {
  std::vector<float> a, b, rows, columns;  // maps; the basis's matrices transposed
  std::vector<std::uint32_t> filled, filled_columns;
  void fit(std::vector<float>& v, std::size_t n) {
    if (v.size() < n) v.resize(n);
  }
};

// For maps of `n` values; `back` also transposes the matrices.
Scratch& scratch(const FeatureBasis& basis, std::size_t n, bool back) {
  static thread_local Scratch mine;
  mine.fit(mine.a, n);
  mine.fit(mine.b, n);
  if (back && basis.spatial()) {
    mine.fit(mine.rows, basis.rows.size());
    mine.fit(mine.columns, basis.columns.size());
    transpose(basis.rows.data(), mine.rows.data(), basis.height, basis.height);
    transpose(basis.columns.data(), mine.columns.data(), basis.width, basis.width);
  }
  return mine;
}

}  // namespace

void to_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views,
                     std::span<float> out) {
  const std::size_t each = basis.values();
  std::vector<float> centred(each);
  for (std::size_t v = 0; v < views; ++v) {
    for (std::size_t i = 0; i < each; ++i) centred[i] = values[v * each + i] - basis.mean[i];
    multiply(basis.vectors.data(), centred.data(), out.data() + v * each, basis.channels, basis.channels,
             basis.positions());
  }
}

void from_coefficients(const FeatureBasis& basis, std::span<const float> coefficients, std::uint32_t views,
                       std::span<float> out) {
  const std::size_t each = basis.values(), c = basis.channels;
  static thread_local std::vector<float> inverse;
  static thread_local std::vector<std::uint32_t> filled;  // channels of a view that are not zero everywhere
  if (inverse.size() < c * c) inverse.resize(c * c);
  transpose(basis.vectors.data(), inverse.data(), c, c);
  const auto any_value = loops().any_value;
  for (std::size_t v = 0; v < views; ++v) {
    const float* from = coefficients.data() + v * each;
    float* own = out.data() + v * each;
    filled.clear();
    for (std::uint32_t k = 0; k < basis.channels; ++k)
      if (any_value(from + k * basis.positions(), basis.positions())) filled.push_back(k);
    multiply_some(inverse.data(), from, own, c, c, basis.positions(), filled);
    for (std::size_t i = 0; i < each; ++i) own[i] += basis.mean[i];
  }
}

double to_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> coefficients, std::uint32_t views,
                std::span<float> items) {
  const std::size_t positions = basis.positions(), each = basis.values(), n = positions * views;
  Scratch& s = scratch(basis, n, false);
  double energy = 0;
  for (std::size_t k = 0; k < basis.channels; ++k) {
    const float* own = coefficients.data() + k * positions;
    float* to = items.data() + k * n;
    if (basis.spatial()) {
      loops().gather(own, each, views, positions, s.a.data());
      const std::size_t row = std::size_t{basis.width} * views;
      for (std::size_t y = 0; y < basis.height; ++y)
        multiply(basis.columns.data(), s.a.data() + y * row, s.b.data() + y * row, basis.width, basis.width, views);
      multiply(basis.rows.data(), s.b.data(), s.a.data(), basis.height, basis.height, row);
      for (std::size_t slot = 0; slot < positions; ++slot)
        std::copy_n(s.a.data() + slots.position[slot] * views, views, to + slot * views);
    } else {
      loops().gather_slots(own, each, views, positions, slots.slot.data(), to);
    }
    energy += loops().sum_of_squares(items.data() + k * n, n);  // while in cache
  }
  return energy;
}

void from_items(const FeatureBasis& basis, const ChannelItems& items, std::uint32_t channel, std::uint32_t views,
                std::span<float> coefficients) {
  const std::size_t positions = basis.positions(), each = basis.values(), row = std::size_t{basis.width} * views;
  float* out = coefficients.data() + channel * positions;
  const bool any = std::ranges::any_of(items.some, [](std::uint8_t some) { return some != 0; });
  if (!any) {
    for (std::size_t v = 0; v < views; ++v) std::fill_n(out + v * each, positions, 0.0f);
    return;
  }
  if (basis.spatial()) {
    Scratch& s = scratch(basis, positions * views, true);
    s.filled.clear();
    for (std::uint32_t y = 0; y < basis.height; ++y) {
      s.filled_columns.clear();
      for (std::uint32_t x = 0; x < basis.width; ++x)
        if (items.some[std::size_t{y} * basis.width + x] != 0) s.filled_columns.push_back(x);
      if (s.filled_columns.empty()) continue;
      s.filled.push_back(y);
      multiply_some(s.columns.data(), items.values.data() + y * row, s.a.data() + y * row, basis.width, basis.width,
                    views, s.filled_columns);
    }
    multiply_some(s.rows.data(), s.a.data(), items.values.data(), basis.height, basis.height, row, s.filled);
  }
  loops().scatter(items.values.data(), views, positions, out, each);
}

}  // namespace vitrine::transform
