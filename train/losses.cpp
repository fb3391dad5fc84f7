#include "train/losses.h"

#include <torch/torch.h>

#include <stdexcept>
#include <utility>

#include "train/precision.h"

namespace vitrine {
namespace {

// Below this norm a map is taken as it is: an image whose map vanishes has no gradient of infinite size.
constexpr double kSmallestNorm = 1e-12;

at::Tensor normalise(const at::Tensor& map) {
  return map / map.norm(2, {1}, /*keepdim=*/true).clamp_min(kSmallestNorm);
}

}  // namespace

void LossOptions::fields(Fields& f) {
  f.number("temperature", temperature, "softens both sides of the output term; 3 to 5 is usual", {0.01, 1000});
  f.number("attention_weight", attention_weight, "attention transfer relative to the feature term", {0, 1e6});
  f.number("label_smoothing", label_smoothing, "share of the label that goes to all classes alike", {0, 0.999});
}

at::Tensor kl_divergence(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature) {
  const FullPrecision precision;
  const at::Tensor student = at::log_softmax(precision.of(student_logits) / temperature, 1);
  const at::Tensor teacher = at::log_softmax(precision.of(teacher_logits).detach() / temperature, 1);
  return (teacher.exp() * (teacher - student)).sum(1).mean();
}

at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing) {
  const FullPrecision precision;
  const at::Tensor log_probability = at::log_softmax(precision.of(logits), 1);
  const at::Tensor own = log_probability.gather(1, labels.label.unsqueeze(1)).squeeze(1);
  const at::Tensor partner = log_probability.gather(1, labels.partner_label.unsqueeze(1)).squeeze(1);
  const at::Tensor share = labels.own_share.to(log_probability.scalar_type());
  const at::Tensor hard = share * own + (1 - share) * partner;
  if (label_smoothing == 0) return -hard.mean();
  return -((1 - label_smoothing) * hard + label_smoothing * log_probability.mean(1)).mean();
}

at::Tensor feature_l2(const at::Tensor& student, const at::Tensor& target) {
  if (student.sizes() != target.sizes()) throw std::logic_error("feature_l2: unequal shapes");
  const FullPrecision precision;
  return (precision.of(student) - precision.of(target).detach()).square().mean();
}

at::Tensor activation_map(const at::Tensor& features) {
  const FullPrecision precision;
  return normalise(precision.of(features).square().mean(1).flatten(1));
}

at::Tensor attention_map(const at::Tensor& attention, std::int64_t height, std::int64_t width) {
  const FullPrecision precision;
  return normalise(
      at::adaptive_avg_pool2d(precision.of(attention).mean(1, /*keepdim=*/true), {height, width}).flatten(1));
}

at::Tensor attention_transfer(const at::Tensor& student_features, const at::Tensor& teacher_attention) {
  const at::Tensor target =
      attention_map(teacher_attention.detach(), student_features.size(2), student_features.size(3));
  return (activation_map(student_features) - target).square().mean();
}

at::Tensor combine(const LossTerms& terms, const LossOptions& options, const LossWeights& weights) {
  const double output = weights.r * weights.w_out * options.temperature * options.temperature;
  const double feature = weights.r * weights.w_feat;
  const std::pair<const at::Tensor*, double> weighted[] = {{&terms.output, output},
                                                           {&terms.feature, feature},
                                                           {&terms.attention, feature * options.attention_weight},
                                                           {&terms.label, 1 - weights.r}};
  at::Tensor sum;
  for (const auto& [term, weight] : weighted) {
    if (!term->defined()) continue;
    sum = sum.defined() ? sum + *term * weight : *term * weight;
  }
  if (!sum.defined()) throw std::logic_error("combine: no term at all");
  return sum;
}

}  // namespace vitrine
