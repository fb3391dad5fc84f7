// The terms of the distillation loss as chosen by the configuration, and their weighted sum. Each formula has its own
// file in this folder. Plain ATen, any device. Computed in FP32 whatever the autocast mode and the inputs' type (double
// stays double); each term is a scalar [] with a gradient to the student's side only.
#ifndef VITRINE_TRAIN_LOSSES_TERMS_H_
#define VITRINE_TRAIN_LOSSES_TERMS_H_

#include <ATen/ATen.h>

#include "common/config/fields.h"
#include "train/losses/attention.h"
#include "train/losses/feature.h"
#include "train/losses/labels.h"
#include "train/losses/loss_weights.h"
#include "train/losses/output.h"
#include "train/losses/term_table.h"

namespace vitrine {

enum class OutputForm { kKl, kDecoupled, kCorrelation, kAdaptive };
enum class AttentionForm { kActivation, kGradient, kGradientScaling };
/// Which classes' score the gradient map of guidance is computed from.
enum class GuidanceScore { kLabels, kTeacher };

struct LossOptions {
  double temperature = 4;       // τ of the softmax on both sides of the output term
  double attention_weight = 1;  // γ: attention transfer relative to the feature loss
  double label_smoothing = 0;   // of the cross entropy
  OutputForm output = OutputForm::kKl;
  double target_weight = 1, others_weight = 8;   // decoupled_kl
  double between_weight = 1, within_weight = 1;  // correlation_distance
  double target_exponent = 1.5;                  // adaptive_target, of the head and of the exits
  double embedding_weight = 1;                   // of the embedding term relative to the feature term
  double exits_weight = 0;                       // of the exits relative to the output term; 0: no exits
  AttentionForm attention = AttentionForm::kActivation;
  MapScaling attention_scaling = MapScaling::kCode;
  GuidanceScore guidance_score = GuidanceScore::kLabels;
  double guidance_strength = 1;  // gradient scaling

  void fields(Fields& f);
};

/// The output term in the form that `options` choose; logits [N, K].
at::Tensor output_loss(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                       const LossOptions& options);

/// The score [N] that gradient guidance differentiates: kLabels: share·z_label + (1−share)·z_partner; kTeacher: Σ_k
/// p_k·z_k with the teacher's probabilities p (at τ = 1, detached). teacher_logits may be undefined for kLabels. Absent
/// labels add nothing to the score: a view without labels has score 0 and a zero map, and learns nothing.
at::Tensor guidance_score(const at::Tensor& student_logits, const at::Tensor& teacher_logits, const MixedLabels& labels,
                          GuidanceScore whose);

/// The unweighted terms of one step, also for the log. An undefined tensor is a term that this step does not have (its
/// pass has no features, its phase no label term); it drops out of the sum.
struct LossTerms : PerTerm<at::Tensor> {
  /// Adds `share` times each term of `other`, without gradients.
  void add(const LossTerms& other, double share);
};

/// L = r·D + (1−r)·CE, D = w_out·τ²·(D_out + exits_weight·exits) + w_feat·(L_feat + γ·L_att + embedding_weight·L_emb),
/// without the absent terms; the other weights are not renormalised. The factor τ² keeps the gradient's magnitude
/// independent of τ (Hinton, Vinyals & Dean 2015). Throws std::logic_error when every term is absent.
at::Tensor combine(const LossTerms& terms, const LossOptions& options, const LossWeights& weights);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_TERMS_H_
