// Cross entropy on labels that may be mixed, smoothed or absent.
#ifndef VITRINE_TRAIN_LOSSES_LABELS_H_
#define VITRINE_TRAIN_LOSSES_LABELS_H_

#include <ATen/ATen.h>

namespace vitrine {

/// Labels of possibly mixed views: int64 [N], int64 [N] and floating point [N] in [0, 1], on the logits' device. An
/// unmixed view has own_share 1; its partner_label must still be a class. When `complete` is false, -1 means no label.
///
/// A loss L(label) of a single label becomes share·L(label) + (1−share)·L(partner_label). Summands without a label drop
/// out and the others keep their weights: the batch's loss is still divided by all N views.
struct MixedLabels {
  at::Tensor label;
  at::Tensor partner_label;
  at::Tensor own_share;
  bool complete = true;  ///< no label is -1
};

/// Both labels as classes, and their weights: [N] each; `own`, `partner` and `none` have the requested type. An absent
/// label has weight 0 and class 0.
struct LabelWeights {
  at::Tensor label, partner_label;
  at::Tensor own, partner;
  at::Tensor none;  ///< share without a label; undefined when `complete`
};
LabelWeights weights_of(const MixedLabels& labels, at::ScalarType type);

/// share·CE(logits, label) + (1−share)·CE(logits, partner_label), mean over the batch; logits [N, K]. Smoothing s in
/// [0, 1) as in torch: the target is (1−s)·one-hot + s/K. Absent labels add nothing.
at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing = 0);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_LABELS_H_
