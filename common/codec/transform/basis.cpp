#include "common/codec/transform/basis.h"

#include <algorithm>
#include <cmath>

#include "common/base/error.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/items.h"
#include "common/codec/transform/linear.h"
#include "common/codec/transform/payload.h"

namespace vitrine {
namespace {

bool finite(const std::vector<float>& numbers) {
  return std::ranges::all_of(numbers, [](float x) { return std::isfinite(x); });
}

}  // namespace

std::vector<float> FeatureBasis::deviation() const {
  std::vector<float> out;
  for (const std::int16_t level : scale) out.push_back(std::exp2(static_cast<float>(level) / kPerOctave));
  return out;
}

bool FeatureBasis::orthonormal() const {
  constexpr double kRounding = 1e-5;  // of the Frobenius norm, which bounds the relative change of any length
  const std::size_t c = channels;
  std::vector<double> products(c * c);
  transform::add_products(vectors.data(), products.data(), c, c);
  double off = 0;
  for (std::size_t i = 0; i < c; ++i)
    for (std::size_t j = 0; j <= i; ++j) {
      const double one = products[i * c + j] - (i == j ? 1 : 0);
      off += (i == j ? 1 : 2) * one * one;
    }
  return std::sqrt(off) <= kRounding;
}

void FeatureBasis::check(const std::string& where) const {
  const auto damaged = [&](const std::string& what) {
    throw Error(ErrorKind::kCorrupt, {.path = where, .what = what, .remedy = "the file is damaged, copy it again"});
  };
  const std::uint64_t c = channels, h = height, w = width;
  // First, as the products below must not overflow.
  if (c == 0 || h == 0 || w == 0 || h * w > transform::kMaxItems || c > transform::kMaxItems / (h * w))
    damaged(text("a basis of ", c, " x ", h, " x ", w, " features is out of range; expected 1 to ",
                 transform::kMaxItems, " values"));
  if (mean.size() != values() || vectors.size() != c * c || eigenvalues.size() != c || scale.size() != values() ||
      expected.size() != kLevels || levels.size() != transform::kKinds * transform::kPlanes ||
      rows.size() != (spatial() ? h * h : 0) || columns.size() != (spatial() ? w * w : 0))
    damaged(text("the arrays' sizes do not match a basis of ", c, " x ", h, " x ", w, " features"));
  if (!finite(mean) || !finite(vectors) || !finite(eigenvalues) || !finite(rows) || !finite(columns) ||
      std::ranges::find(expected, 0) != expected.end() || confidence == 0 ||
      std::ranges::any_of(levels, [](std::uint8_t level) { return level >= transform::kLevels; }))
    damaged("the basis has values out of range");
}

}  // namespace vitrine
