#include <ATen/ATen.h>

#include "train/losses/output.h"
#include "train/losses/precision.h"

namespace vitrine {

at::Tensor kl_divergence(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature) {
  const FullPrecision precision;
  const at::Tensor student = at::log_softmax(precision.of(student_logits) / temperature, 1);
  const at::Tensor teacher = at::log_softmax(precision.of(teacher_logits).detach() / temperature, 1);
  return (teacher.exp() * (teacher - student)).sum(1).mean();
}

}  // namespace vitrine
