#include "train/losses/terms.h"

#include <ATen/ATen.h>

#include <cstddef>
#include <iterator>
#include <stdexcept>

#include "train/losses/precision.h"

namespace vitrine {

void LossOptions::fields(Fields& f) {
  f.number("temperature", temperature, "softens both sides of the output term; typically 3 to 5", {0.01, 1000});
  f.number("attention_weight", attention_weight, "weight of attention transfer relative to the feature term", {0, 1e6});
  f.number("label_smoothing", label_smoothing, "share of the label that is spread over all classes", {0, 0.999});
  f.choice("output", output,
           {{"kl", OutputForm::kKl},
            {"dkd", OutputForm::kDecoupled},
            {"dist", OutputForm::kCorrelation},
            {"ofa", OutputForm::kAdaptive}},
           "distance of the student's logits from the teacher's; for views without a label dkd is kl, and ofa has "
           "exponent 1");
  f.number("target_weight", target_weight, "dkd: weight of the label's class against all others", {0, 1e6});
  f.number("others_weight", others_weight, "dkd: weight of the other classes among themselves", {0, 1e6});
  f.number("between_weight", between_weight, "dist: weight of each image's correlation over classes", {0, 1e6});
  f.number("within_weight", within_weight, "dist: weight of each class's correlation over the batch's images",
           {0, 1e6});
  f.number("target_exponent", target_exponent,
           "ofa and exits: larger values trust the label more where the teacher is confident", {1, 16});
  f.number("embedding_weight", embedding_weight,
           "of the embedding term (targets.embedding), relative to the feature term", {0, 1e6});
  f.number("exits_weight", exits_weight,
           "weight of auxiliary heads at a ResNet's stages, relative to the output term; 0: none", {0, 1e6});
  f.choice(
      "attention", attention,
      {{"activation", AttentionForm::kActivation},
       {"gradient", AttentionForm::kGradient},
       {"gradient_scaling", AttentionForm::kGradientScaling}},
      "what is compared with the teacher's attention: the student's activation map or its gradient-weighted map of the "
      "score; gradient_scaling has no term and scales the student's gradient by the attention");
  f.choice("attention_scaling", attention_scaling, {{"code", MapScaling::kCode}, {"paper", MapScaling::kPaper}},
           "how attention maps are compared: as in the code of attention transfer, or as in its paper");
  f.choice("guidance_score", guidance_score, {{"labels", GuidanceScore::kLabels}, {"teacher", GuidanceScore::kTeacher}},
           "gradient: the score is that of the labels (views without one learn nothing from attention) or of the "
           "teacher's classes");
  f.number("guidance_strength", guidance_strength, "gradient_scaling: share of the gradient that is scaled", {0, 1});
}

at::Tensor output_loss(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                       const LossOptions& options) {
  const double tau = options.temperature;
  switch (options.output) {
    case OutputForm::kKl:
      return kl_divergence(student_logits, teacher_logits, tau);
    case OutputForm::kDecoupled:
      return decoupled_kl(student_logits, teacher_logits, labels, tau, options.target_weight, options.others_weight);
    case OutputForm::kCorrelation:
      return correlation_distance(student_logits, teacher_logits, tau, options.between_weight, options.within_weight);
    case OutputForm::kAdaptive:
      return adaptive_target(student_logits, teacher_logits, labels, tau, options.target_exponent);
  }
  throw std::logic_error("output_loss: an unknown form");
}

at::Tensor guidance_score(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                          GuidanceScore whose) {
  const FullPrecision precision;
  const at::Tensor logits = precision.of(student_logits);
  if (whose == GuidanceScore::kTeacher) return (logits * at::softmax(precision.of(teacher_logits).detach(), 1)).sum(1);
  const LabelWeights weights = weights_of(labels, logits.scalar_type());
  return weights.own * logits.gather(1, weights.label.unsqueeze(1)).squeeze(1) +
         weights.partner * logits.gather(1, weights.partner_label.unsqueeze(1)).squeeze(1);
}

void LossTerms::add(const LossTerms& other, double share) {
  for (const auto& [key, term] : kLossTerms<at::Tensor>) {
    if (!(other.*term).defined()) continue;
    const at::Tensor part = share == 1 ? (other.*term).detach() : (other.*term).detach() * share;
    at::Tensor& sum = this->*term;
    sum = sum.defined() ? sum + part : part;
  }
}

at::Tensor combine(const LossTerms& terms, const LossOptions& options, const LossWeights& weights) {
  const double output = weights.r * weights.w_out * options.temperature * options.temperature;
  const double feature = weights.r * weights.w_feat;
  const PerTerm<double> weight{.output = output,
                               .feature = feature,
                               .attention = feature * options.attention_weight,
                               .label = 1 - weights.r,
                               .exits = output * options.exits_weight,
                               .embedding = feature * options.embedding_weight};
  at::Tensor sum;
  for (std::size_t t = 0; t < std::size(kLossTerms<double>); ++t) {
    const at::Tensor& term = terms.*kLossTerms<at::Tensor>[t].member;
    if (!term.defined()) continue;
    const double own = weight.*kLossTerms<double>[t].member;
    sum = sum.defined() ? sum + term * own : term * own;
  }
  if (!sum.defined()) throw std::logic_error("combine: no term at all");
  return sum;
}

}  // namespace vitrine
