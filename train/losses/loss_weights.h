// What the schedule says of the loss: the weights that change with the step. No LibTorch, so that a schedule has none.
#ifndef VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_
#define VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_

namespace vitrine {

/// The factors of L = r·D + (1−r)·CE, D = w_out·τ²·KL + w_feat·(L_feat + γ·L_att) that change with the step; see
/// combine() (terms.h). r in [0, 1], the others at least 0.
struct LossWeights {
  double r = 0.75;
  double w_out = 1;
  double w_feat = 1;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_
