#include <ATen/ATen.h>

#include "train/losses/output.h"
#include "train/losses/precision.h"

namespace vitrine {
namespace {

// Added to the product of norms, so that a constant vector has correlation 0.
constexpr double kMinNorms = 1e-8;

/// Mean over rows of 1 − Pearson's correlation of two [R, V].
at::Tensor distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a - a.mean(1, /*keepdim=*/true), y = b - b.mean(1, /*keepdim=*/true);
  return (1 - (x * y).sum(1) / (x.norm(2, {1}) * y.norm(2, {1}) + kMinNorms)).mean();
}

}  // namespace

at::Tensor correlation_distance(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature,
                                double between_weight, double within_weight) {
  const FullPrecision precision;
  const at::Tensor student = at::softmax(precision.of(student_logits) / temperature, 1);
  const at::Tensor teacher = at::softmax(precision.of(teacher_logits).detach() / temperature, 1);
  return between_weight * distance(student, teacher) + within_weight * distance(student.t(), teacher.t());
}

}  // namespace vitrine
