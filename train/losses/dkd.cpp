#include <ATen/ATen.h>

#include <limits>
#include <stdexcept>

#include "train/losses/output.h"
#include "train/losses/precision.h"

namespace vitrine {
namespace {

/// One side's log-probabilities: of p_y [N], of 1 − p_y [N], and of p̂ [N, K] with 0 at the label.
struct Decoupled {
  at::Tensor target, rest, others;
};

Decoupled decoupled(const at::Tensor& logits, const at::Tensor& is_label) {
  // From the other classes' logits: computing 1 − p_y would cancel when p_y is close to 1.
  const at::Tensor others = logits.masked_fill(is_label, -std::numeric_limits<double>::infinity());
  const at::Tensor all_mass = logits.logsumexp(1), others_mass = others.logsumexp(1);
  return {(logits * is_label).sum(1) - all_mass, others_mass - all_mass,
          (logits - others_mass.unsqueeze(1)).masked_fill(is_label, 0)};
}

at::Tensor per_image(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& label,
                     double target_weight, double others_weight) {
  const at::Tensor is_label = at::arange(student.size(1), label.options()).eq(label.unsqueeze(1));
  const Decoupled s = decoupled(student, is_label), t = decoupled(teacher, is_label);
  const at::Tensor target = t.target.exp() * (t.target - s.target) + t.rest.exp() * (t.rest - s.rest);
  const at::Tensor others = (t.others.exp() * (t.others - s.others)).sum(1);
  return target_weight * target + others_weight * others;
}

}  // namespace

at::Tensor decoupled_kl(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                        double temperature, double target_weight, double others_weight) {
  if (student_logits.size(1) < 2) throw std::logic_error("decoupled_kl: fewer than two classes");
  const FullPrecision precision;
  const at::Tensor student = precision.of(student_logits) / temperature;
  const at::Tensor teacher = precision.of(teacher_logits).detach() / temperature;
  const LabelWeights weights = weights_of(labels, student.scalar_type());
  const at::Tensor own = per_image(student, teacher, weights.label, target_weight, others_weight);
  const at::Tensor partner = per_image(student, teacher, weights.partner_label, target_weight, others_weight);
  at::Tensor sum = weights.own * own + weights.partner * partner;
  if (weights.none.defined()) {
    const at::Tensor log_p = at::log_softmax(teacher, 1);
    sum = sum + weights.none * (log_p.exp() * (log_p - at::log_softmax(student, 1))).sum(1);
  }
  return sum.mean();
}

}  // namespace vitrine
