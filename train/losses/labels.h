// Cross entropy on labels that may be mixed and smoothed.
#ifndef VITRINE_TRAIN_LOSSES_LABELS_H_
#define VITRINE_TRAIN_LOSSES_LABELS_H_

#include <torch/torch.h>

namespace vitrine {

/// Labels of views that may be mixed: int64 [N], int64 [N], floating point [N] in [0, 1], on the logits' device. A view
/// that is not mixed has the share 1; its partner's label must still be a class.
///
/// A loss L(label) that is defined for one label is taken of both, weighted by their shares: share·L(label) +
/// (1−share)·L(partner_label).
struct MixedLabels {
  at::Tensor label;
  at::Tensor partner_label;
  at::Tensor own_share;
};

/// share·CE(logits, label) + (1−share)·CE(logits, partner_label), mean over the batch; logits [N, K]. Smoothing s in
/// [0, 1) as in torch: the target is (1−s)·one-hot + s/K.
at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing = 0);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_LABELS_H_
