#include "common/eval/metrics.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "common/base/error.h"

namespace vitrine {

void ClassificationMetrics::add(const at::Tensor& logits, const at::Tensor& labels, const at::Tensor& teacher_logits) {
  if (logits.dim() != 2 || logits.size(1) != static_cast<std::int64_t>(classes_.size()))
    fail("metrics: logits have shape ", logits.sizes(), "; expected [N, ", classes_.size(), "]");
  if (teacher_logits.defined() && teacher_logits.sizes() != logits.sizes())
    fail("metrics: logits have shape ", logits.sizes(), " and the teacher's ", teacher_logits.sizes(),
         "; do both have the same classes?");
  accuracy_.add(logits, labels);
  if (labels.size(0) == 0) return;
  const at::NoGradGuard no_grad;
  const at::Tensor scores = logits.to(at::kCPU, at::kDouble);
  const at::Tensor label = labels.cpu().contiguous();
  const at::Tensor own = scores.gather(1, label.unsqueeze(1));
  // As in AccuracyCounts, classes that do not score below the label are ahead of it.
  const at::Tensor right =
      ((scores < own).logical_not().sum(1) - 1 < 1).logical_and(own.squeeze(1).isnan().logical_not());
  const at::Tensor confidence = std::get<0>(at::softmax(scores, 1).max(1));
  const auto* label_at = label.data_ptr<std::int64_t>();
  const auto* right_at = right.data_ptr<bool>();
  const auto* confidence_at = confidence.data_ptr<double>();
  for (std::int64_t i = 0; i < label.size(0); ++i) {
    const double sure = std::isfinite(confidence_at[i]) ? confidence_at[i] : 1;
    const auto bin = static_cast<std::size_t>(std::clamp(std::ceil(sure * kBins) - 1, 0.0, kBins - 1.0));
    bin_confidence_[bin] += sure;
    for (Hits* hits : {&classes_[static_cast<std::size_t>(label_at[i])], &bins_[bin]}) {
      ++hits->images;
      hits->right += right_at[i];
    }
  }
  if (!teacher_logits.defined()) return;
  agreed_.images += static_cast<std::uint64_t>(label.size(0));
  agreed_.right += static_cast<std::uint64_t>(
      scores.argmax(1).eq(teacher_logits.to(at::kCPU, at::kDouble).argmax(1)).sum().item<std::int64_t>());
}

double ClassificationMetrics::calibration_error() const {
  double sum = 0, images = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    sum += std::abs(static_cast<double>(bins_[bin].right) - bin_confidence_[bin]);
    images += static_cast<double>(bins_[bin].images);
  }
  return images > 0 ? sum / images : 0;
}

double ClassificationMetrics::confidence() const {
  double sum = 0, images = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    sum += bin_confidence_[bin];
    images += static_cast<double>(bins_[bin].images);
  }
  return images > 0 ? sum / images : 0;
}

std::optional<double> ClassificationMetrics::agreement() const {
  if (agreed_.images == 0) return std::nullopt;
  return agreed_.share();
}

}  // namespace vitrine
