#include "common/codec/transform/items.h"

#include <algorithm>
#include <vector>

#include "common/codec/transform/clones.h"
#include "common/codec/transform/linear.h"

namespace vitrine::transform {
namespace {

#if defined(__GNUC__) && !defined(__clang__) && defined(__x86_64__)  // clang has no __builtin_shuffle
// in [rows of stride], 8 × 8, to out transposed.
typedef float Eight __attribute__((vector_size(32)));
typedef int Choice __attribute__((vector_size(32)));
template <class Row>
inline __attribute__((always_inline)) void transpose8(const float* in, std::size_t in_stride, const Row& row) {
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
  for (int i = 0; i < 8; ++i) __builtin_memcpy(row(static_cast<std::size_t>(i)), &s[i], sizeof s[i]);
}
// The same for 4 × 8.
template <class Row>
inline __attribute__((always_inline)) void transpose4(const float* in, std::size_t in_stride, const Row& row) {
  Eight r[4], s[4];
  for (int i = 0; i < 4; ++i) __builtin_memcpy(&r[i], in + static_cast<std::size_t>(i) * in_stride, sizeof r[i]);
  for (int i = 0; i < 4; i += 2) {
    s[i] = __builtin_shuffle(r[i], r[i + 1], Choice{0, 8, 2, 10, 4, 12, 6, 14});
    s[i + 1] = __builtin_shuffle(r[i], r[i + 1], Choice{1, 9, 3, 11, 5, 13, 7, 15});
  }
  for (int j = 0; j < 2; ++j) {
    r[j] = __builtin_shuffle(s[j], s[j + 2], Choice{0, 1, 8, 9, 4, 5, 12, 13});
    r[j + 2] = __builtin_shuffle(s[j], s[j + 2], Choice{2, 3, 10, 11, 6, 7, 14, 15});
  }
  for (int j = 0; j < 4; ++j) {
    __builtin_memcpy(row(static_cast<std::size_t>(j)), &r[j], 16);
    __builtin_memcpy(row(static_cast<std::size_t>(j + 4)), reinterpret_cast<const char*>(&r[j]) + 16, 16);
  }
}
#else
template <class Row>
inline void transpose8(const float* in, std::size_t in_stride, const Row& row) {
  for (std::size_t i = 0; i < 8; ++i)
    for (std::size_t j = 0; j < 8; ++j) row(j)[i] = in[i * in_stride + j];
}
template <class Row>
inline void transpose4(const float* in, std::size_t in_stride, const Row& row) {
  for (std::size_t i = 0; i < 4; ++i)
    for (std::size_t j = 0; j < 8; ++j) row(j)[i] = in[i * in_stride + j];
}
#endif

// A transposition from or to rows that lie far apart, a channel's part of each view: each is too short for a processor
// to fetch it ahead by itself, so lines are asked for here, which the next channel goes on with at the end.
enum class Far { kIn, kOut };

// in [rows of in_stride, columns] transposed: its column j goes to row(j).
template <Far kFar, class Row>
inline __attribute__((always_inline)) void transposed(const float* in, std::size_t in_stride, std::size_t rows,
                                                      std::size_t columns, const Row& row) {
  constexpr std::size_t kLine = 16;  // values
  const std::size_t whole_rows = rows / 4 * 4, whole_columns = columns / 8 * 8;
  for (std::size_t j = 0; j < whole_columns; j += 8) {
    const float* from = in + j;
    const bool last = j + 8 >= whole_columns;
    std::size_t i = 0;
    for (; i + 8 <= rows; i += 8) {
      if (kFar == Far::kIn && j % kLine == 0)
        for (std::size_t r = 0; r < 8; ++r) __builtin_prefetch(from + (i + r) * in_stride + 2 * kLine);
      if (kFar == Far::kOut && i % kLine == 0)
        for (std::size_t r = 0; r < 8; ++r) __builtin_prefetch(last ? row(r) + rows + i : row(j + 8 + r) + i, 1);
      transpose8(from + i * in_stride, in_stride, [&](std::size_t c) { return row(j + c) + i; });
    }
    if (i < whole_rows) transpose4(from + i * in_stride, in_stride, [&](std::size_t c) { return row(j + c) + i; });
  }
  for (std::size_t j = 0; j < columns; ++j)
    for (std::size_t i = j < whole_columns ? whole_rows : 0; i < rows; ++i) row(j)[i] = in[i * in_stride + j];
}

// A channel of all views, [views, positions] that are `each` apart, to [positions, views], or in the order `slots` of
// positions; and back.
VITRINE_CLONES void gather(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions,
                           float* map) {
  transposed<Far::kIn>(coefficients, each, views, positions, [=](std::size_t j) { return map + j * views; });
}
VITRINE_CLONES void gather_slots(const float* coefficients, std::size_t each, std::size_t views, std::size_t positions,
                                 const std::uint32_t* slots, float* items) {
  transposed<Far::kIn>(coefficients, each, views, positions, [=](std::size_t j) { return items + slots[j] * views; });
}
VITRINE_CLONES void scatter(const float* map, std::size_t views, std::size_t positions, float* coefficients,
                            std::size_t each) {
  transposed<Far::kOut>(map, views, positions, views, [=](std::size_t j) { return coefficients + j * each; });
}

VITRINE_CLONES double sum_of_squares(const float* values, std::size_t n) {
  double sums[16] = {}, total = 0;
  for (std::size_t i = 0; i + 16 <= n; i += 16)
    for (std::size_t l = 0; l < 16; ++l)
      sums[l] += static_cast<double>(values[i + l]) * static_cast<double>(values[i + l]);
  for (std::size_t i = n / 16 * 16; i < n; ++i)
    total += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  for (const double sum : sums) total += sum;
  return total;
}

VITRINE_CLONES bool any_of(const float* values, std::size_t n) {
  bool any = false;
  for (std::size_t i = 0; i < n; ++i) any |= values[i] != 0;
  return any;
}

struct Scratch {
  std::vector<float> a, b, rows, columns;  // maps; the basis's matrices transposed
  std::vector<std::uint32_t> filled, filled_columns;
  void fit(std::vector<float>& v, std::size_t n) {
    if (v.size() < n) v.resize(n);
  }
};

// For `n` values of a map; `back` also transposes the matrices.
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
  for (std::size_t v = 0; v < views; ++v) {
    const float* from = coefficients.data() + v * each;
    float* own = out.data() + v * each;
    filled.clear();
    for (std::uint32_t k = 0; k < basis.channels; ++k)
      if (any_of(from + k * basis.positions(), basis.positions())) filled.push_back(k);
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
      gather(own, each, views, positions, s.a.data());
      const std::size_t row = std::size_t{basis.width} * views;
      for (std::size_t y = 0; y < basis.height; ++y)
        multiply(basis.columns.data(), s.a.data() + y * row, s.b.data() + y * row, basis.width, basis.width, views);
      multiply(basis.rows.data(), s.b.data(), s.a.data(), basis.height, basis.height, row);
      for (std::size_t slot = 0; slot < positions; ++slot)
        std::copy_n(s.a.data() + slots.position[slot] * views, views, to + slot * views);
    } else {
      gather_slots(own, each, views, positions, slots.slot.data(), to);
    }
    energy += sum_of_squares(items.data() + k * n, n);  // now, as it is at hand
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
  scatter(items.values.data(), views, positions, out, each);
}

}  // namespace vitrine::transform
