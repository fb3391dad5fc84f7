#include "train/losses/labels.h"

#include <ATen/ATen.h>

#include "train/losses/precision.h"

namespace vitrine {

LabelWeights weights_of(const MixedLabels& labels, at::ScalarType type) {
  const at::Tensor share = labels.own_share.to(type);
  if (labels.complete) return {labels.label, labels.partner_label, share, 1 - share, {}};
  const at::Tensor own = labels.label.ge(0), partner = labels.partner_label.ge(0);
  return {labels.label.clamp_min(0), labels.partner_label.clamp_min(0), share * own, (1 - share) * partner,
          share * own.logical_not() + (1 - share) * partner.logical_not()};
}

at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing) {
  const FullPrecision precision;
  const at::Tensor log_probability = at::log_softmax(precision.of(logits), 1);
  const LabelWeights weights = weights_of(labels, log_probability.scalar_type());
  const at::Tensor own = log_probability.gather(1, weights.label.unsqueeze(1)).squeeze(1);
  const at::Tensor partner = log_probability.gather(1, weights.partner_label.unsqueeze(1)).squeeze(1);
  const at::Tensor hard = weights.own * own + weights.partner * partner;
  if (label_smoothing == 0) return -hard.mean();
  at::Tensor smooth = log_probability.mean(1);
  if (!labels.complete) smooth = smooth * (weights.own + weights.partner);
  return -((1 - label_smoothing) * hard + label_smoothing * smooth).mean();
}

}  // namespace vitrine
