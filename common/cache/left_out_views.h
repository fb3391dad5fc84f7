// Placeholder targets of views that are left out.
#ifndef VITRINE_COMMON_CACHE_LEFT_OUT_VIEWS_H_
#define VITRINE_COMMON_CACHE_LEFT_OUT_VIEWS_H_

#include <cstddef>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"
#include "common/plan/recipe.h"

namespace vitrine {

/// Blanks the rows of left-out views in `values` [recipes.size(), ...]: zeros, or with a basis its mean, whose
/// coefficients are all zero (other values would reduce the precision of the group's other views).
void blank_left_out(std::span<const Recipe> recipes, std::span<float> values, const FeatureBasis* basis);

/// The rows of the other views, in order; moves `values` if none is left out.
std::vector<float> without_left_out(std::span<const Recipe> recipes, std::vector<float> values);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_LEFT_OUT_VIEWS_H_
