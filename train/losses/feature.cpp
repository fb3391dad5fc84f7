#include "train/losses/feature.h"

#include <ATen/ATen.h>

#include <stdexcept>

#include "train/losses/precision.h"

namespace vitrine {
namespace {

constexpr double kMinVectorNorm = 1e-8;

/// Over dimension 1.
at::Tensor cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(1) / (a.norm(2, {1}).clamp_min(kMinVectorNorm) * b.norm(2, {1}).clamp_min(kMinVectorNorm));
}

}  // namespace

at::Tensor feature_distance(const at::Tensor& student, const at::Tensor& target, FeatureForm form,
                            const at::Tensor& weights) {
  if (student.sizes() != target.sizes()) throw std::logic_error("feature_distance: unequal shapes");
  const FullPrecision precision;
  const at::Tensor s = precision.of(student), t = precision.of(target).detach();
  at::Tensor w;
  if (weights.defined()) {
    if (weights.sizes() != at::IntArrayRef({s.size(0), 1, s.size(2), s.size(3)}))
      throw std::logic_error("feature_distance: weights of another shape");
    w = precision.of(weights).detach();
  }
  const auto weighted = [](const at::Tensor& x, const at::Tensor& by) { return by.defined() ? x * by : x; };
  switch (form) {
    case FeatureForm::kPlain:
      return weighted((s - t).square().mean(1, /*keepdim=*/true), w).mean();
    case FeatureForm::kNormalised: {  // norms and dot product of whole maps, weighted
      const at::Tensor root = w.defined() ? w.sqrt() : w;
      return (2 - 2 * cosine(weighted(s, root).flatten(1), weighted(t, root).flatten(1))).mean();
    }
    case FeatureForm::kCosine:
      return weighted((1 - cosine(s, t)).unsqueeze(1), w).mean();
  }
  throw std::logic_error("feature_distance: an unknown form");
}

}  // namespace vitrine
