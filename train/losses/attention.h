// Attention transfer: pulls the student's activation map, or its gradient-weighted map, towards the teacher's attention
// from the class token. Attention is [N, heads, h, w] on any grid; it is averaged over heads and resampled to the
// student's grid by adaptive average pooling. No gradient to the teacher.
#ifndef VITRINE_TRAIN_LOSSES_ATTENTION_H_
#define VITRINE_TRAIN_LOSSES_ATTENTION_H_

#include <ATen/ATen.h>

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

/// Weights of positions that follow the teacher's attention to a share in [0, 1]: 1 − share + share·a / mean(a), where
/// a is the mean over heads on a grid of height × width. Returns [N, 1, height, width], mean 1 over positions.
at::Tensor attention_weights(const at::Tensor& attention, std::int64_t height, std::int64_t width, double share);

/// Gradient-weighted map (Grad-CAM, Selvaraju et al. 2017), L2-normalised per image: relu(Σ_c ā_c·A_c) with ā_c the
/// mean over positions of ∂(Σ_n score_n)/∂A_c. features: A [N, C, H, W], from which score [N] was computed.
/// Differentiable by double backward; the graph is retained.
at::Tensor gradient_map(const at::Tensor& features, const at::Tensor& score);

/// Activation form: activation_map of the student's features [N, C, H, W] (any stage) against attention_map.
at::Tensor attention_transfer(const at::Tensor& student_features, const at::Tensor& teacher_attention,
                              MapScaling scaling = MapScaling::kCode);

/// Gradient guidance: gradient_map against attention_map. A map without a positive part is constant and has no
/// gradient.
at::Tensor gradient_guidance(const at::Tensor& student_features, const at::Tensor& score,
                             const at::Tensor& teacher_attention, MapScaling scaling = MapScaling::kCode);

/// The cheap form, which adds no loss term: the gradient that reaches the student's features in the next backward is
/// multiplied, at each position, by attention_weights with share `strength`.
void guide_gradient(const at::Tensor& student_features, const at::Tensor& teacher_attention, double strength);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_ATTENTION_H_
