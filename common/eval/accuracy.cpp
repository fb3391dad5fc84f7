#include "common/eval/accuracy.h"

#include <ATen/ATen.h>

#include "common/base/error.h"

namespace vitrine {

void AccuracyCounts::add(const at::Tensor& logits, const at::Tensor& labels) {
  if (logits.dim() != 2 || labels.dim() != 1 || labels.size(0) != logits.size(0) || labels.scalar_type() != at::kLong)
    fail("accuracy: logits have shape ", logits.sizes(), " and labels ", labels.sizes(),
         "; expected [N, classes] and int64 [N]");
  if (labels.size(0) == 0) return;
  const at::NoGradGuard no_grad;
  const auto [lowest, highest] = at::aminmax(labels);
  if (lowest.item<int64_t>() < 0 || highest.item<int64_t>() >= logits.size(1))
    fail("accuracy: labels are from ", lowest.item<int64_t>(), " to ", highest.item<int64_t>(), " for ", logits.size(1),
         " classes; do the data and the model have the same classes?");
  const auto score = logits.gather(1, labels.unsqueeze(1));
  const auto ahead = (logits < score).logical_not().sum(1) - 1;  // counts NaN as ahead
  const auto counted = score.squeeze(1).isnan().logical_not();
  const auto counts = at::stack({(ahead < 1).logical_and(counted).sum(), (ahead < 5).logical_and(counted).sum()}).cpu();
  top1_ += static_cast<std::uint64_t>(counts[0].item<int64_t>());
  top5_ += static_cast<std::uint64_t>(counts[1].item<int64_t>());
  images_ += static_cast<std::uint64_t>(labels.size(0));
}

void AccuracyCounts::add(const AccuracyCounts& other) {
  top1_ += other.top1_;
  top5_ += other.top5_;
  images_ += other.images_;
}

Accuracy AccuracyCounts::accuracy() const {
  if (images_ == 0) return {};
  const auto n = static_cast<double>(images_);
  return {static_cast<double>(top1_) / n, static_cast<double>(top5_) / n, images_};
}

}  // namespace vitrine
