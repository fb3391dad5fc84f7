#include "train/losses/labels.h"

#include <torch/torch.h>

#include "train/precision.h"

namespace vitrine {

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

}  // namespace vitrine
