#include "common/cache/left_out_views.h"

#include <algorithm>

namespace vitrine {

void blank_left_out(std::span<const Recipe> recipes, std::span<float> values, const FeatureBasis* basis) {
  const std::size_t each = values.size() / recipes.size();
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    if (!is_left_out(recipes[i])) continue;
    const std::span<float> row = values.subspan(i * each, each);
    if (basis == nullptr) {
      std::ranges::fill(row, 0.0f);
    } else {
      std::ranges::copy(basis->mean, row.begin());
    }
  }
}

std::vector<float> without_left_out(std::span<const Recipe> recipes, std::vector<float> values) {
  if (std::ranges::none_of(recipes, is_left_out)) return values;
  const std::size_t each = values.size() / recipes.size();
  std::size_t kept = 0;
  for (std::size_t i = 0; i < recipes.size(); ++i) {
    if (is_left_out(recipes[i])) continue;
    std::copy_n(values.begin() + static_cast<std::ptrdiff_t>(i * each), each,
                values.begin() + static_cast<std::ptrdiff_t>(kept * each));
    ++kept;
  }
  values.resize(kept * each);
  return values;
}

}  // namespace vitrine
