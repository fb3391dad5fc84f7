// The terms of distillation's loss and their sum. Plain ATen, any device. Computed in FP32 whatever the autocast mode
// and the inputs' type (double stays double); each term is a scalar [] with a gradient to the student's side only.
#ifndef VITRINE_TRAIN_LOSSES_H_
#define VITRINE_TRAIN_LOSSES_H_

#include <torch/torch.h>

#include <cstdint>

#include "common/config/fields.h"
#include "train/schedule.h"

namespace vitrine {

struct LossOptions {
  double temperature = 4;       // τ of the softmax on both sides of KL
  double attention_weight = 1;  // γ: attention transfer relative to the feature loss
  double label_smoothing = 0;   // of the cross entropy

  void fields(Fields& f);
};

/// KL(softmax(teacher/τ) ‖ softmax(student/τ)), mean over the batch; logits [N, K]. Without the factor τ², which
/// `combine` applies (Hinton, Vinyals & Dean 2015). No gradient to the teacher.
at::Tensor kl_divergence(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature);

/// Labels of views that may be mixed: int64 [N], int64 [N], floating point [N] in [0, 1], on the logits' device. A view
/// that is not mixed has the share 1; its partner's label must still be a class.
struct MixedLabels {
  at::Tensor label;
  at::Tensor partner_label;
  at::Tensor own_share;
};

/// share·CE(logits, label) + (1−share)·CE(logits, partner_label), mean over the batch; logits [N, K]. Smoothing s in
/// [0, 1) as in torch: the target is (1−s)·one-hot + s/K.
at::Tensor cross_entropy(const at::Tensor& logits, const MixedLabels& labels, double label_smoothing = 0);

/// Mean squared error over all elements of two equal shapes. No gradient to the target.
at::Tensor feature_l2(const at::Tensor& student, const at::Tensor& target);

/// Mean over channels of the squared activations, L2-normalised per image: [N, C, H, W] -> [N, H·W].
at::Tensor activation_map(const at::Tensor& features);

/// Mean over heads, resampled to height × width by adaptive average pooling, L2-normalised per image:
/// [N, heads, h, w] -> [N, height·width].
at::Tensor attention_map(const at::Tensor& attention, std::int64_t height, std::int64_t width);

/// Activation-based attention transfer (Zagoruyko & Komodakis 2017): mean over images and positions of the squared
/// difference between the student's activation map ([N, C, H, W], any stage) and the teacher's attention from the class
/// token ([N, heads, h, w]) on the student's grid. No gradient to the teacher.
at::Tensor attention_transfer(const at::Tensor& student_features, const at::Tensor& teacher_attention);

/// The terms of one step, each unweighted and kept for the log. An undefined tensor is a term that this step does not
/// have (its pass has no features, its phase no labels): it drops out of the sum.
struct LossTerms {
  at::Tensor output;     // KL
  at::Tensor feature;    // L_feat
  at::Tensor attention;  // L_att
  at::Tensor label;      // CE
};

/// L = r·D + (1−r)·CE, D = w_out·τ²·KL + w_feat·(L_feat + γ·L_att), without the absent terms; the other weights do not
/// grow in their place. No term at all is a std::logic_error.
at::Tensor combine(const LossTerms& terms, const LossOptions& options, const LossWeights& weights);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_H_
