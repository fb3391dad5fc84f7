// Makes the teacher's and the student's feature maps comparable, and compares them. Two directions, equal options:
//
// teacher_to_student: the teacher's map goes through a 1×1 convolution C_vit -> C_res, squeeze-and-excitation (Hu et
// al. 2018), a learnable spatial mask m fused with the teacher's attention (a: its mean over heads divided by that
// map's mean, 1 where there is none; additive: the map is multiplied by sigmoid(m + a − 1); gated: by 1 + sigmoid(m)·(a
// − 1), so that the mask says how far attention is followed) and adaptive average pooling. Here both sides may learn,
// and could agree on nothing. Against that, by construction:
// - Both sides are standardised per channel over batch and space, without affine.
// - The loss is their squared error in the form 2 − 2·correlation (mean over channels): a constant or vanishing output
//   has no correlation and costs 2, as much as noise; agreement costs 0, opposition 4.
// - The student learns against the detached target and the transformer against the detached student, as two terms. With
//   the second at weight 1 their gradients are those of the plain loss; at weight 0, or in a phase with
//   train_transformer off, the student's target is wholly fixed.
//
// student_to_teacher (FitNets, Romero et al. 2015): a 1×1 convolution C_res -> C_vit of the student's map; the target
// is the teacher's map itself, which cannot move. Nothing is standardised: the tap is normalised where it is taken.
// Where the teacher's attention is there, positions weigh in the distance as the teacher looks at them
// (attention_weights with the share attention_share, attention on any grid): most of a map's energy is background.
//
// In both directions `form` chooses the distance (losses/feature.h): plain is the squared error above.
//
// The teacher's map may come turned (channel_basis.h): as V·x, V orthonormal. Its own projection W becomes W·Vᵀ then,
// made once a forward; the student's becomes V·W, with the bias V·b, and both sides are compared turned, at the same
// distances.
//
// Both maps are resampled to the smaller grid by adaptive average pooling. Computed in FP32 whatever the autocast mode
// and the inputs' type, or in double when module and inputs are double. Statistics are those of the batch at hand (one
// rank's).
#ifndef VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_
#define VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_

#include <torch/torch.h>

#include <cstdint>
#include <vector>

#include "common/config/fields.h"
#include "train/losses/feature.h"

namespace vitrine {

enum class Direction { kTeacherToStudent, kStudentToTeacher };
enum class Fusion { kAdditive, kGated };
/// Fixed pairs of tracks and stages (pairs.h), or weights for each image over all (adaptive_mapping.h).
enum class Mapping { kPairs, kAdaptive };

struct FeatureTransformerOptions {
  Direction direction = Direction::kStudentToTeacher;
  FeatureForm form = FeatureForm::kPlain;
  Fusion fusion = Fusion::kAdditive;  // teacher_to_student only
  double attention_share = 1;         // of a position's weight that follows attention, student_to_teacher only
  int se_ratio = 16;                  // squeeze: C_res / se_ratio channels, at least one
  int stage = 0;  // the student's stage of attention, and of features from one track: 1..4 is layer1..layer4; 0: the
                  // deepest that is as fine as the teacher's map (matching_stage)
  std::vector<std::uint32_t> stages;  // one for each feature track, or for kAdaptive any; empty: by depth, or all
  Mapping mapping = Mapping::kPairs;
  double transformer_weight = 1;  // of the transformer's own term, teacher_to_student only

  void fields(Fields& f);
};

/// The maps' channels, and the teacher's grid, which the mask lives on.
struct FeatureShapes {
  std::int64_t teacher_channels = 0;
  std::int64_t student_channels = 0;
  std::int64_t teacher_height = 0;
  std::int64_t teacher_width = 0;
};

/// `loss` [] carries all gradients; its value is the distance between `student` and `target` in the chosen form (in the
/// form above for teacher_to_student and plain). `student` and `target` [N, C, h, w] are the two sides as compared,
/// detached: C is C_res or C_vit, by direction, h × w the smaller grid. With a basis, C_vit channels are turned.
struct FeatureLoss {
  at::Tensor loss;
  at::Tensor student;
  at::Tensor target;
};

class FeatureTransformerImpl : public torch::nn::Module {
 public:
  /// `basis`: [C_vit, C_vit], V where the teacher's maps come turned; it stays out of the module's state. Weights from
  /// torch's default generator. Shapes below 1 are a std::logic_error.
  FeatureTransformerImpl(const FeatureTransformerOptions& options, const FeatureShapes& shapes,
                         const at::Tensor& basis = {});

  /// `student` [N, C_res, H, W], `teacher` [N, C_vit, h, w], `attention` [N, heads, h, w] or undefined.
  /// Gradients reach the student and this module, never the teacher. Other shapes are an Error.
  FeatureLoss forward(const at::Tensor& student, const at::Tensor& teacher, const at::Tensor& attention = {});

  const FeatureTransformerOptions& options() const { return options_; }

 private:
  at::Tensor transform(const at::Tensor& teacher, const at::Tensor& attention);
  at::Tensor projected(const at::Tensor& map);

  FeatureTransformerOptions options_;
  FeatureShapes shapes_;
  at::Tensor basis_;
  torch::nn::Conv2d project_{nullptr};
  torch::nn::Conv2d squeeze_{nullptr};  // as excite_ and mask_: teacher_to_student only
  torch::nn::Conv2d excite_{nullptr};
  at::Tensor mask_;  // [1, 1, h, w]
};
TORCH_MODULE(FeatureTransformer);

/// (x − mean) / sqrt(variance + 1e-5), per channel of [N, C, H, W] over batch and space (biased variance).
at::Tensor standardise(const at::Tensor& x);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_FEATURE_TRANSFORMER_H_
