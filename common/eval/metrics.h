// Running metrics of a classifier on labelled images: accuracy, accuracy per class, calibration error and agreement
// with the teacher.
#ifndef VITRINE_COMMON_EVAL_METRICS_H_
#define VITRINE_COMMON_EVAL_METRICS_H_

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/eval/accuracy.h"

namespace vitrine {

/// Counts for one class or one confidence bin.
struct Hits {
  std::uint64_t images = 0, right = 0;
  /// In [0, 1]; 0 without images.
  double share() const { return images > 0 ? static_cast<double>(right) / static_cast<double>(images) : 0; }
};

class ClassificationMetrics {
 public:
  static constexpr std::size_t kBins = 15;

  explicit ClassificationMetrics(std::int64_t classes) : classes_(static_cast<std::size_t>(classes)) {}

  /// logits: [N, classes]; labels: int64 [N], on the same device; teacher_logits: [N, classes] of the same images, or
  /// undefined. An image is correct if it is in AccuracyCounts' top 1. Throws Error as AccuracyCounts does.
  void add(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& teacher_logits = {});

  Accuracy accuracy() const { return accuracy_.accuracy(); }
  const std::vector<Hits>& classes() const { return classes_; }
  /// Expected calibration error (Guo et al. 2017, eq. 3) over 15 bins of equal width: Σ_m |B_m|/n · |accuracy − mean
  /// confidence|. An image's confidence is its largest probability, 1 if its logits are not finite; bin m holds
  /// confidences in (m/15, (m+1)/15]. 0 without images.
  double calibration_error() const;
  /// Mean confidence over all images.
  double confidence() const;
  /// Share of images whose largest logit is at the teacher's class; nullopt without a teacher.
  std::optional<double> agreement() const;

 private:
  AccuracyCounts accuracy_;
  std::vector<Hits> classes_;
  std::array<Hits, kBins> bins_{};
  std::array<double, kBins> bin_confidence_{};  // sums
  Hits agreed_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_EVAL_METRICS_H_
