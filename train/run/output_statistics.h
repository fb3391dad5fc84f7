// Measures, at the logged steps, how the student's outputs compare with the teacher's. Changes nothing.
#ifndef VITRINE_TRAIN_RUN_OUTPUT_STATISTICS_H_
#define VITRINE_TRAIN_RUN_OUTPUT_STATISTICS_H_

#include <ATen/ATen.h>

#include <cstdint>

#include "train/run/learning.h"
#include "train/student/network.h"

namespace vitrine {

/// Sums over views, kept on the device until they are read. Not thread-safe.
class OutputStatistics {
 public:
  /// `temperature`: of the loss's output term. `comparable`: whether the teacher's logits are one number for each of
  /// the student's classes (not packed, none missing); otherwise only the student is measured.
  OutputStatistics(double temperature, bool comparable) : temperature_(temperature), comparable_(comparable) {}

  /// `teacher_logits`: of the same views, or undefined.
  void add(const NetworkOutputs& out, const at::Tensor& teacher_logits);
  /// Sets kl, constant_kl, agreement, compared and channels of what was seen since reset().
  void summarise(LearningEvidence& evidence) const;
  void reset() { *this = OutputStatistics(temperature_, comparable_); }

 private:
  double temperature_;
  bool comparable_;
  std::int64_t compared_ = 0;
  at::Tensor probabilities_;     // double [K]: sum of the teacher's
  at::Tensor entropies_, kls_;   // double []: sums
  at::Tensor agreed_;            // int64 []
  at::Tensor lowest_, highest_;  // float [C]: of each channel's mean over a view's last map
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_OUTPUT_STATISTICS_H_
