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

at::Tensor feature_l2(const at::Tensor& student, const at::Tensor& target, FeatureForm form) {
  if (student.sizes() != target.sizes()) throw std::logic_error("feature_l2: unequal shapes");
  const FullPrecision precision;
  const at::Tensor s = precision.of(student), t = precision.of(target).detach();
  switch (form) {
    case FeatureForm::kPlain:
      return (s - t).square().mean();
    case FeatureForm::kNormalised:
      return (2 - 2 * cosine(s.flatten(1), t.flatten(1))).mean();
    case FeatureForm::kCosine:
      return (1 - cosine(s, t)).mean();
  }
  throw std::logic_error("feature_l2: an unknown form");
}

}  // namespace vitrine
