#include <ATen/ATen.h>

#include "train/losses/output.h"
#include "train/losses/precision.h"

namespace vitrine {

at::Tensor adaptive_target(const at::Tensor& student_logits, const at::Tensor& teacher_logits,
                           const MixedLabels& labels, double temperature, double gamma) {
  const FullPrecision precision;
  const at::Tensor student = at::log_softmax(precision.of(student_logits) / temperature, 1);
  const at::Tensor teacher = at::softmax(precision.of(teacher_logits).detach() / temperature, 1);
  const at::Tensor all = (teacher * student).sum(1);
  const auto with_label = [&](const at::Tensor& label) {
    const at::Tensor p = teacher.gather(1, label.unsqueeze(1)).squeeze(1);
    const at::Tensor log_q = student.gather(1, label.unsqueeze(1)).squeeze(1);
    return -(all + ((1 + p).pow(gamma) - 1 - p) * log_q);
  };
  const LabelWeights weights = weights_of(labels, student.scalar_type());
  at::Tensor sum = weights.own * with_label(weights.label) + weights.partner * with_label(weights.partner_label);
  if (weights.none.defined()) sum = sum - weights.none * all;
  return sum.mean();
}

}  // namespace vitrine
