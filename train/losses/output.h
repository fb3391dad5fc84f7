// The output term D_out in four forms, which pull the student's logits towards the teacher's. All take logits [N, K]
// and a temperature τ, average over the batch, leave the factor τ² to combine() (terms.h), and give no gradient to the
// teacher.
#ifndef VITRINE_TRAIN_LOSSES_OUTPUT_H_
#define VITRINE_TRAIN_LOSSES_OUTPUT_H_

#include <ATen/ATen.h>

#include "train/losses/labels.h"

namespace vitrine {

/// KL(softmax(teacher/τ) ‖ softmax(student/τ)) (Hinton, Vinyals & Dean 2015).
at::Tensor kl_divergence(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature);

/// Decoupled knowledge distillation (Zhao et al. 2022, eq. 7): target·KL(b^T ‖ b^S) + others·KL(p̂^T ‖ p̂^S), where b =
/// (p_y, 1 − p_y) and p̂ is the softmax over the classes other than the label y, all at τ. At least two classes. With
/// target = 1 and others = 1 − p_y^T it would equal KL; here `others` is a constant (8 for ImageNet and CNNs). Views
/// without a label use KL, which needs none.
at::Tensor decoupled_kl(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                        double temperature, double target_weight, double others_weight);

/// DIST (Huang et al. 2022, eqs. 7 to 10): between·mean_i(1 − ρ(S_i·, T_i·)) + within·mean_k(1 − ρ(S_·k, T_·k)), ρ
/// Pearson's correlation of the softmax at τ: of an image over classes, and of a class over the batch's images.
/// Constant vectors (a batch of one image) have ρ = 0. Relates only images of the same batch.
at::Tensor correlation_distance(const at::Tensor& student_logits, const at::Tensor& teacher_logits, double temperature,
                                double between_weight, double within_weight);

/// The loss of OFA-KD (Hao et al. 2023, eq. 6) without its cross entropy of the label, which is the label term here:
/// −((1 + p_y^T)^γ − 1)·log p_y^S − Σ_{k≠y} p_k^T·log p_k^S, at τ. With γ = 1 it is KL plus the teacher's entropy; a
/// larger γ gives the label more weight where the teacher is confident of it. Views without a label use γ = 1.
at::Tensor adaptive_target(const at::Tensor& student_logits, const at::Tensor& teacher_logits,
                           const MixedLabels& labels, double temperature, double gamma);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_OUTPUT_H_
