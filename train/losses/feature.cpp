#include "train/losses/feature.h"

#include <torch/torch.h>

#include <stdexcept>

#include "train/precision.h"

namespace vitrine {
namespace {

constexpr double kSmallestNorm = 1e-8;

/// Over dimension 1.
at::Tensor cosine(const at::Tensor& a, const at::Tensor& b) {
  return (a * b).sum(1) / (a.norm(2, {1}).clamp_min(kSmallestNorm) * b.norm(2, {1}).clamp_min(kSmallestNorm));
}

}  // namespace

at::Tensor feature_l2(const at::Tensor& student, const at::Tensor& target, FeatureForm form, const at::Tensor& weights) {
  if (student.sizes() != target.sizes()) throw std::logic_error("feature_l2: unequal shapes");
  const FullPrecision precision;
  const at::Tensor s = precision.of(student), t = precision.of(target).detach();
  if (!weights.defined()) {
    switch (form) {
      case FeatureForm::kPlain:
        return (s - t).square().mean();
      case FeatureForm::kNormalised:
        return (2 - 2 * cosine(s.flatten(1), t.flatten(1))).mean();
      case FeatureForm::kCosine:
        return (1 - cosine(s, t)).mean();
    }
  }
  if (weights.dim() != 4 || weights.size(0) != s.size(0) || weights.size(1) != 1 || weights.size(2) != s.size(2) || weights.size(3) != s.size(3))
    throw std::logic_error("feature_l2: weights of another shape");
  const at::Tensor w = precision.of(weights).detach(), root = w.sqrt();
  switch (form) {
    case FeatureForm::kPlain:
      return ((s - t).square().mean(1, /*keepdim=*/true) * w).mean();
    case FeatureForm::kNormalised:  // the norm and the product of whole maps, both weighted
      return (2 - 2 * cosine((s * root).flatten(1), (t * root).flatten(1))).mean();
    case FeatureForm::kCosine:
      return ((1 - cosine(s, t)) * w.squeeze(1)).mean();
  }
  throw std::logic_error("feature_l2: an unknown form");
}

}  // namespace vitrine
