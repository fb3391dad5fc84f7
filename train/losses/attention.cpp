#include "train/losses/attention.h"

#include <torch/autograd.h>
#include <ATen/ATen.h>

#include "train/losses/precision.h"

namespace vitrine {
namespace {

// Lower bound of the norm that a map is divided by, so that a zero map has a finite gradient.
constexpr double kMinNorm = 1e-12;

// A score's gradient at a feature is about a head weight divided by the number of positions, 1e-4 and less: subnormal
// or 0 in FP16. A power of two brings it into range without rounding; the map is normalised afterwards.
constexpr double kScoreScale = 4096;

at::Tensor normalise(const at::Tensor& map) {
  return map / map.norm(2, {1}, /*keepdim=*/true).clamp_min(kMinNorm);
}

/// [N, heads, h, w] -> [N, height·width].
at::Tensor heads_mean(const at::Tensor& attention, std::int64_t height, std::int64_t width) {
  const FullPrecision precision;
  return at::adaptive_avg_pool2d(precision.of(attention).mean(1, /*keepdim=*/true), {height, width}).flatten(1);
}

/// `map`: the student's, [N, H·W], on the grid of `features`.
at::Tensor distance(const at::Tensor& map, const at::Tensor& features, const at::Tensor& attention,
                    MapScaling scaling) {
  const at::Tensor difference = map - attention_map(attention.detach(), features.size(2), features.size(3));
  if (scaling == MapScaling::kCode) return difference.square().mean();
  return 0.5 * difference.norm(2, {1}).mean();
}

}  // namespace

at::Tensor activation_map(const at::Tensor& features) {
  const FullPrecision precision;
  return normalise(precision.of(features).square().mean(1).flatten(1));
}

at::Tensor attention_map(const at::Tensor& attention, std::int64_t height, std::int64_t width) {
  const FullPrecision precision;
  return normalise(heads_mean(attention, height, width));
}

at::Tensor attention_weights(const at::Tensor& attention, std::int64_t height, std::int64_t width, double share) {
  const at::Tensor map = heads_mean(attention.detach(), height, width);
  const at::Tensor relative = map / map.mean(1, /*keepdim=*/true).clamp_min(kMinNorm);
  return (1 - share + share * relative).view({map.size(0), 1, height, width});
}

at::Tensor gradient_map(const at::Tensor& features, const at::Tensor& score) {
  const FullPrecision precision;
  const at::Tensor gradient = torch::autograd::grad({score.sum() * kScoreScale}, {features}, /*grad_outputs=*/{},
                                                    /*retain_graph=*/true, /*create_graph=*/true)[0];
  const at::Tensor weights = precision.of(gradient).mean({2, 3}, /*keepdim=*/true);
  return normalise(at::relu((weights * precision.of(features)).sum(1)).flatten(1));
}

at::Tensor attention_transfer(const at::Tensor& student_features, const at::Tensor& teacher_attention,
                              MapScaling scaling) {
  return distance(activation_map(student_features), student_features, teacher_attention, scaling);
}

at::Tensor gradient_guidance(const at::Tensor& student_features, const at::Tensor& score,
                             const at::Tensor& teacher_attention, MapScaling scaling) {
  return distance(gradient_map(student_features, score), student_features, teacher_attention, scaling);
}

void guide_gradient(const at::Tensor& student_features, const at::Tensor& teacher_attention, double strength) {
  const at::Tensor factor =
      attention_weights(teacher_attention, student_features.size(2), student_features.size(3), strength)
          .to(student_features.scalar_type());
  student_features.register_hook([factor](const at::Tensor& gradient) { return gradient * factor; });
}

}  // namespace vitrine
