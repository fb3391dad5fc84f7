// Cross entropy on labels that may be mixed, smoothed, or not there.
#ifndef VITRINE_TRAIN_LOSSES_LABELS_H_
#define VITRINE_TRAIN_LOSSES_LABELS_H_

#include <torch/torch.h>

namespace vitrine {

/// Labels of views that may be mixed: int64 [N], int64 [N], floating point [N] in [0, 1], on the logits' device. A view
/// that is not mixed has the share 1; its partner's label must still be a class. Where `complete` is false, -1 is no
/// label.
///
/// A loss L(label) that is defined for one label is taken of both, weighted by their shares: share·L(label) +
/// (1−share)·L(partner_label). What is without a label drops out of the sum, and the others do not grow in its place:
/// a batch's loss stays the mean of what its views have.
struct MixedLabels {
  at::Tensor label;
  at::Tensor partner_label;
  at::Tensor own_share;
  bool complete = true;  ///< every label is a class
};

/// Both labels as classes, and what each counts: [N] each, `own`, `partner` and `none` in the type asked for. Where a
/// label is not there its weight is 0 and its class 0.
struct LabelWeights {
  at::Tensor label, partner_label;
  at::Tensor own, partner;
  at::Tensor none;  ///< the share without a label; undefined when all are complete
};
LabelWeights weights_of(const MixedLabels& labels, at::ScalarType type);

/// share·CE(logits, label) + (1−share)·CE(logits, partner_label), mean over the batch; logits [N, K]. Smoothing s in
/// [0, 1) as in torch: the target is (1−s)·one-hot + s/K. Where there is no label there is no target either, and
/// nothing is added.
at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing = 0);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_LABELS_H_
