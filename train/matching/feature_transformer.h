// Projects the teacher's or the student's feature map to the other's channels, and computes their distance. There are
// two directions:
//
// teacher_to_student: the teacher's map goes through a 1×1 convolution C_vit -> C_res, squeeze-and-excitation (Hu et
// al. 2018), a learnable spatial mask m fused with the teacher's attention (a: its mean over heads divided by that
// map's mean, 1 where there is none; additive: the map is multiplied by sigmoid(m + a − 1); gated: by 1 + sigmoid(m)·(a
// − 1), so that the mask says how far attention is followed) and adaptive average pooling. Both sides may learn here
// and could collapse to a trivial agreement. This is prevented by construction:
// - Both sides are standardised per channel over batch and positions, without affine parameters.
// - The loss is their squared error in the form 2 − 2·correlation (mean over channels): a constant or zero output has
//   no correlation and costs 2, as much as noise; perfect correlation costs 0, anti-correlation 4.
// - The student learns from the detached target and the transformer from the detached student, as two terms. With
//   weight 1 for the second, the gradients are those of the undetached loss; with weight 0, or in a phase without
//   train_transformer, the student's target is fixed.
//
// student_to_teacher (FitNets, Romero et al. 2015): a 1×1 convolution C_res -> C_vit of the student's map; the target
// is the teacher's map itself, which is fixed. Nothing is standardised: the tap is normalised when it is extracted.
// When the teacher's attention is given, positions are weighted by it (attention_weights with attention_share,
// attention on any grid), because most of a map's energy is background.
//
// In both directions `form` chooses the distance (losses/feature.h); plain is the squared error above.
//
// The teacher's map may be given rotated (channel_basis.h), as V·x with V orthonormal. Then the teacher's projection W
// becomes W·Vᵀ, computed once per forward; the student's becomes V·W with bias V·b, and both sides are compared in the
// rotated space, where distances are equal.
//
// Both maps are resampled to the smaller grid by adaptive average pooling. Computed in FP32 whatever the autocast mode
// and the inputs' type, or in double when module and inputs are double. Statistics are those of the local batch.
#ifndef VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_
#define VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/models/module_ptr.h"
#include "common/config/fields.h"
#include "train/losses/feature.h"

namespace vitrine {

enum class Direction { kTeacherToStudent, kStudentToTeacher };
enum class Fusion { kAdditive, kGated };
/// Fixed pairs of tracks and stages (pairs.h), or per-image weights over all pairs (adaptive_mapping.h).
enum class Mapping { kPairs, kAdaptive };

struct FeatureTransformerOptions {
  Direction direction = Direction::kStudentToTeacher;
  FeatureForm form = FeatureForm::kPlain;
  Fusion fusion = Fusion::kAdditive;  // teacher_to_student only
  double attention_share = 1;         // share of a position's weight that follows attention; student_to_teacher only
  int se_ratio = 16;                  // squeeze to max(1, C_res / se_ratio) channels
  /// The student's stage for attention, and for a single feature track: 1 to 4 is layer1 to layer4; 0:
  /// matching_stage().
  int stage = 0;
  std::vector<std::uint32_t> stages;  // one per feature track, or any set for kAdaptive; empty: by depth, or all
  Mapping mapping = Mapping::kPairs;
  double transformer_weight = 1;  // of the transformer's own term, teacher_to_student only

  void fields(Fields& f);
};

/// The maps' channels, and the teacher's grid, which is also the mask's.
struct FeatureShapes {
  std::int64_t teacher_channels = 0;
  std::int64_t student_channels = 0;
  std::int64_t teacher_height = 0;
  std::int64_t teacher_width = 0;
};

/// `loss` [] carries all gradients; its value is the distance between `student` and `target` in the chosen form (2 −
/// 2·correlation for teacher_to_student with plain). `student` and `target` [N, C, h, w] are the compared maps,
/// detached: C is C_res or C_vit, by direction; h × w is the smaller grid. With a basis, C_vit channels are rotated.
struct FeatureLoss {
  at::Tensor loss;
  at::Tensor student;
  at::Tensor target;
};

class FeatureTransformerImpl : public torch::nn::Module {
 public:
  /// `basis`: V [C_vit, C_vit] when the teacher's maps are given rotated; not part of the module's state. Weights are
  /// initialised from torch's default generator. Throws std::logic_error for shapes below 1.
  FeatureTransformerImpl(const FeatureTransformerOptions& options, const FeatureShapes& shapes,
                         const at::Tensor& basis = {});

  /// `student` [N, C_res, H, W], `teacher` [N, C_vit, h, w], `attention` [N, heads, h, w] or undefined. Gradients reach
  /// the student and this module, never the teacher. Throws Error for other shapes.
  FeatureLoss forward(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& attention = {});

  const FeatureTransformerOptions& options() const { return options_; }

 private:
  at::Tensor transform(const at::Tensor& teacher, const at::Tensor& attention);
  at::Tensor projected(const at::Tensor& map);

  FeatureTransformerOptions options_;
  FeatureShapes shapes_;
  at::Tensor basis_;
  ConvolutionPtr project_;
  ConvolutionPtr squeeze_;  // squeeze_, excite_ and mask_: teacher_to_student only
  ConvolutionPtr excite_;
  at::Tensor mask_;  // [1, 1, h, w]
};
TORCH_MODULE(FeatureTransformer);

/// (x − mean) / sqrt(variance + 1e-5), per channel of [N, C, H, W] over batch and positions (biased variance).
at::Tensor standardise(const at::Tensor& x);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_
