// The weights of the loss that the schedule changes with the step. Free of LibTorch, so that the schedule is too.
#ifndef VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_
#define VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_

namespace vitrine {

/// The scheduled factors of L = r·D + (1−r)·CE, D = w_out·τ²·KL + w_feat·(L_feat + γ·L_att); see combine() (terms.h). r
/// in [0, 1], the others non-negative.
struct LossWeights {
  double r = 0.75;
  double w_out = 1;
  double w_feat = 1;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_LOSS_WEIGHTS_H_
