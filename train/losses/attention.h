// Attention transfer: the student's map of where it is active, or of what its score rests on, drawn to the teacher's
// attention from the class token. Attention is [N, heads, h, w], any grid; it is averaged over heads and brought to the
// student's grid by adaptive average pooling. No gradient to the teacher.
#ifndef VITRINE_TRAIN_LOSSES_ATTENTION_H_
#define VITRINE_TRAIN_LOSSES_ATTENTION_H_

#include <torch/torch.h>

#include <cstdint>

namespace vitrine {

/// How two maps of unit L2 norm, Q_S and Q_T, are compared (Zagoruyko & Komodakis 2017).
enum class MapScaling {
  kCode,   ///< their published code: mean over images and positions of (Q_S − Q_T)²
  kPaper,  ///< their equation 2: ½·‖Q_S − Q_T‖₂, mean over images
};

/// Mean over channels of the squared activations, L2-normalised per image: [N, C, H, W] -> [N, H·W].
at::Tensor activation_map(const at::Tensor& features);

/// Mean over heads on a grid of height × width, L2-normalised per image: [N, heads, h, w] -> [N, height·width].
at::Tensor attention_map(const at::Tensor& attention, std::int64_t height, std::int64_t width);

/// How much each position counts when a share of its weight follows the teacher's attention: 1 − share + share·a /
/// mean(a), with a the mean over heads on a grid of height × width; [N, 1, height, width], mean 1 over positions. share
/// in [0, 1].
at::Tensor attention_weights(const at::Tensor& attention, std::int64_t height, std::int64_t width, double share);

/// Gradient-weighted map (Grad-CAM, Selvaraju et al. 2017), L2-normalised per image: relu(Σ_c ā_c·A_c) with ā_c the
/// mean over positions of ∂(Σ_n score_n)/∂A_c. features: A [N, C, H, W], from which score [N] was computed.
/// Differentiable: the gradient is part of the graph (a double backward), which is kept.
at::Tensor gradient_map(const at::Tensor& features, const at::Tensor& score);

/// The activation form: activation_map of the student's features [N, C, H, W] (any stage) against attention_map.
at::Tensor attention_transfer(const at::Tensor& student_features, const at::Tensor& teacher_attention,
                              MapScaling scaling = MapScaling::kCode);

/// Gradient guidance: gradient_map against attention_map. A map whose positive part vanishes is a constant and learns
/// nothing.
at::Tensor gradient_guidance(const at::Tensor& student_features, const at::Tensor& score,
                             const at::Tensor& teacher_attention, MapScaling scaling = MapScaling::kCode);

/// The cheap form, without a loss of its own: whatever gradient reaches the student's features in the next backward is
/// multiplied, position by position, by attention_weights of share `strength`.
void guide_gradient(const at::Tensor& student_features, const at::Tensor& teacher_attention, double strength);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_ATTENTION_H_
