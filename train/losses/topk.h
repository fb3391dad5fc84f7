// Distillation from a teacher of which only the k largest logits of each view and the mass of all others are known.
// Both sides are normalised over the same k + 1 outcomes: the kept classes and "any other".
#ifndef VITRINE_TRAIN_LOSSES_TOPK_H_
#define VITRINE_TRAIN_LOSSES_TOPK_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <span>
#include <vector>

namespace vitrine {

/// Packs them for targets/source.h: one row per view, [views, 2k + 1]: the k values, the k classes (the bits of a
/// uint32), and the tail, log Σ exp(x / τ) over the classes that were not kept. `tail`: one per view.
std::vector<float> pack_topk(std::span<const float> values, std::span<const std::uint32_t> indices,
                             std::span<const float> tail);

struct TopkLogits {
  at::Tensor values;   ///< [N, k]
  at::Tensor indices;  ///< int64 [N, k], distinct within a row
  at::Tensor tail;     ///< [N], at the temperature of the loss
};

/// The inverse of pack_topk(); float32 [N, 2k + 1] on any device.
TopkLogits unpack_topk(const at::Tensor& packed);

/// KL(p ‖ q), mean over the batch, where p = softmax over (values / τ, tail) and q has the student's probabilities
/// softmax(student / τ) of the kept classes and, as its last outcome, the sum of all others'. student: [N, K], k < K.
/// Without the factor τ², which combine() applies. No gradient to the teacher.
at::Tensor topk_kl_divergence(const at::Tensor& student_logits, const TopkLogits& teacher, double temperature);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_TOPK_H_
