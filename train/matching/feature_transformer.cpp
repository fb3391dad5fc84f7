#include "train/matching/feature_transformer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

#include "common/base/error.h"
#include "common/models/convolution.h"
#include "train/losses/attention.h"
#include "train/losses/precision.h"

namespace vitrine {
namespace {

constexpr double kVarianceFloor = 1e-5;

void check_map(const at::Tensor& map, const char* what, std::int64_t channels) {
  if (map.dim() == 4 && map.size(1) == channels) return;
  fail("The feature transformer got ", what, " of shape ", map.sizes(), ", but expects [images, ", channels,
       ", height, width]; check that the model and the layer are those that the transformer was made for.");
}

at::Tensor pooled(const at::Tensor& map, std::int64_t height, std::int64_t width) {
  if (map.size(2) == height && map.size(3) == width) return map;
  return at::adaptive_avg_pool2d(map, {height, width});
}

ConvolutionPtr pointwise(std::int64_t from, std::int64_t to, bool bias) {
  return std::make_shared<ConvolutionImpl>(torch::nn::Conv2dOptions(from, to, 1).bias(bias));
}

}  // namespace

void FeatureTransformerOptions::fields(Fields& f) {
  f.choice("direction", direction,
           {{"teacher_to_student", Direction::kTeacherToStudent}, {"student_to_teacher", Direction::kStudentToTeacher}},
           "whose map is projected to the other's channels");
  f.choice("form", form,
           {{"plain", FeatureForm::kPlain}, {"normalised", FeatureForm::kNormalised}, {"cosine", FeatureForm::kCosine}},
           "the maps' distance: squared error, squared error of maps normalised to unit norm, or 1 - cosine at each "
           "position");
  f.choice("fusion", fusion, {{"additive", Fusion::kAdditive}, {"gated", Fusion::kGated}},
           "how the mask and the teacher's attention are combined (teacher_to_student)");
  f.number("attention_share", attention_share,
           "share of a position's weight that follows the teacher's attention, if available (student_to_teacher, "
           "mapping = \"pairs\"); 0: uniform weights",
           {0, 1});
  f.integer("se_ratio", se_ratio, "squeeze-and-excitation's reduction ratio of the student's channels", {1, 4096});
  f.integer("stage", stage,
            "the student's stage compared with attention, and with a single feature track: layer1 to layer4; 0: the "
            "deepest whose map is at least as fine as the teacher's",
            {0, 4});
  f.integers("stages", stages, "one stage per feature track; empty: the one of equal relative depth", {1, 4});
  f.choice("mapping", mapping, {{"pairs", Mapping::kPairs}, {"adaptive", Mapping::kAdaptive}},
           "pairs: the pairs given by stages; adaptive: all pairs, with weights learned per image");
  f.number("transformer_weight", transformer_weight,
           "weight of the transformer's own term (teacher_to_student); 0: it keeps its initial weights", {0, 1e6});
}

at::Tensor standardise(const at::Tensor& x) {
  const at::Tensor centred = x - x.mean({0, 2, 3}, /*keepdim=*/true);
  return centred * (centred.square().mean({0, 2, 3}, /*keepdim=*/true) + kVarianceFloor).rsqrt();
}

FeatureTransformerImpl::FeatureTransformerImpl(const FeatureTransformerOptions& options, const FeatureShapes& shapes,
                                               const at::Tensor& basis)
    : options_(options), shapes_(shapes), basis_(basis) {
  if (std::min({shapes.teacher_channels, shapes.student_channels, shapes.teacher_height, shapes.teacher_width}) < 1)
    throw std::logic_error("FeatureTransformer: a shape below 1");
  if (options.direction == Direction::kStudentToTeacher) {
    project_ = register_module("project", pointwise(shapes.student_channels, shapes.teacher_channels, true));
    return;
  }
  const std::int64_t squeezed = std::max<std::int64_t>(1, shapes.student_channels / options.se_ratio);
  project_ = register_module("project", pointwise(shapes.teacher_channels, shapes.student_channels, true));
  squeeze_ = register_module("squeeze", pointwise(shapes.student_channels, squeezed, true));
  excite_ = register_module("excite", pointwise(squeezed, shapes.student_channels, true));
  mask_ = register_parameter("mask", at::zeros({1, 1, shapes.teacher_height, shapes.teacher_width}));
}

// Applies the 1×1 projection, folding in the basis where the teacher's side is rotated.
at::Tensor FeatureTransformerImpl::projected(const at::Tensor& map) {
  if (!basis_.defined()) return project_->forward(map);
  const at::Tensor weight = project_->weight.flatten(1), basis = basis_.to(weight.options());
  if (options_.direction == Direction::kStudentToTeacher)
    return pointwise_convolution(map, basis.mm(weight).view_as(project_->weight), basis.mv(project_->bias));
  return pointwise_convolution(map, weight.mm(basis.t()).view_as(project_->weight), project_->bias);
}

at::Tensor FeatureTransformerImpl::transform(const at::Tensor& teacher, const at::Tensor& attention) {
  const at::Tensor own = projected(teacher);
  const at::Tensor squeezed = at::relu(squeeze_->forward(own.mean({2, 3}, /*keepdim=*/true)));
  const at::Tensor excited = own * at::sigmoid(excite_->forward(squeezed));
  const bool gated = options_.fusion == Fusion::kGated;
  if (!attention.defined()) return gated ? excited : excited * at::sigmoid(mask_);
  const at::Tensor relative = attention_weights(attention, attention.size(2), attention.size(3), 1) - 1;
  return excited * (gated ? 1 + at::sigmoid(mask_) * relative : at::sigmoid(mask_ + relative));
}

FeatureLoss FeatureTransformerImpl::forward(const at::Tensor& student, const at::Tensor& teacher,
                                            const at::Tensor& attention) {
  const FullPrecision precision;
  check_map(student, "a student's map", shapes_.student_channels);
  check_map(teacher, "a teacher's map", shapes_.teacher_channels);
  const std::int64_t height = std::min(student.size(2), teacher.size(2));
  const std::int64_t width = std::min(student.size(3), teacher.size(3));
  at::Tensor student_side = pooled(precision.of(student), height, width);
  const at::Tensor fixed = precision.of(teacher).detach();

  if (options_.direction == Direction::kStudentToTeacher) {
    // Pooling and a 1×1 convolution commute; pooling first gives the convolution the smaller grid.
    student_side = projected(student_side);
    const at::Tensor target = pooled(fixed, height, width);
    const at::Tensor weights = attention.defined() && options_.attention_share > 0
                                   ? attention_weights(attention, height, width, options_.attention_share)
                                   : at::Tensor();
    return {feature_distance(student_side, target, options_.form, weights), student_side.detach(), target};
  }

  if (teacher.size(2) != shapes_.teacher_height || teacher.size(3) != shapes_.teacher_width)
    fail("The feature transformer got a teacher's map of ", teacher.size(2), "x", teacher.size(3),
         " positions, but its mask has ", shapes_.teacher_height, "x", shapes_.teacher_width,
         "; use targets from the grid that the run began with.");
  if (attention.defined() &&
      (attention.dim() != 4 || attention.size(2) != teacher.size(2) || attention.size(3) != teacher.size(3)))
    fail("The feature transformer got attention of shape ", attention.sizes(), ", but expects [images, heads, ",
         teacher.size(2), ", ", teacher.size(3),
         "], the grid of the teacher's features; use both from the same teacher.");
  const at::Tensor maps_attention = attention.defined() ? precision.of(attention).detach() : attention;
  student_side = standardise(student_side);
  const at::Tensor target = standardise(pooled(transform(fixed, maps_attention), height, width));
  // feature_distance detaches its second argument; all forms are symmetric.
  const auto distance = [this](const at::Tensor& moving, const at::Tensor& fixed_side) {
    if (options_.form != FeatureForm::kPlain) return feature_distance(moving, fixed_side, options_.form);
    return 2 - 2 * (moving * fixed_side.detach()).mean();
  };
  const at::Tensor student_term = distance(student_side, target);
  const at::Tensor transformer_term = distance(target, student_side);
  // The second term adds its gradient but not its value, so that the log has a single squared error.
  const at::Tensor loss = student_term + options_.transformer_weight * (transformer_term - transformer_term.detach());
  return {loss, student_side.detach(), target.detach()};
}

}  // namespace vitrine
