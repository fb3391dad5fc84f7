// Logits of a vision-language model's image tower (CLIP, Radford et al., arXiv:2103.00020; SigLIP, Zhai et al.,
// arXiv:2303.15343) over the user's classes: scale * cos(image embedding, class text embedding) + bias.
#ifndef VITRINE_COMMON_TEACHER_ZERO_SHOT_H_
#define VITRINE_COMMON_TEACHER_ZERO_SHOT_H_

#include <c10/core/Device.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "common/teacher/network.h"

namespace vitrine {

/// A safetensors file made by tools/scripts/zero_shot_head.py: "text" [classes, values], one row per class;
/// "logit_scale" and optionally "logit_bias", scalars or of one element, applied as they are (the exponential of the
/// model's parameter is already taken); the metadata key "classes" may hold a JSON list of the class names.
struct ZeroShotHead {
  at::Tensor rows;  ///< [classes, values], FP64, rows of length 1
  double scale = 1, bias = 0;
  std::vector<std::string> classes;  ///< empty: not named

  /// Throws Error for a missing or damaged file, tensors of other shapes, values that are not finite, a row of zeros.
  static ZeroShotHead load(const std::filesystem::path& file);
};

class ZeroShotNetwork : public TeacherNetwork {
 public:
  /// The image embedding is the tower's logits if it has as many as `head` has values (CLIP's projection), else its
  /// pooled feature. Throws Error, beginning with `where`, if neither fits.
  ZeroShotNetwork(std::unique_ptr<const TeacherNetwork> tower, ZeroShotHead head, c10::Device device,
                  const std::string& where);

  const NetworkShape& shape() const override { return shape_; }
  ArchitectureRecord record() const override { return tower_->record(); }
  double forward_bytes(std::uint32_t views) const override { return tower_->forward_bytes(views); }
  bool has_rollout() const override { return tower_->has_rollout(); }
  /// `embedding` of the outputs is the image embedding, not normalised.
  TeacherOutputs forward(const at::Tensor& x, const TeacherTaps& taps) const override;

 private:
  std::unique_ptr<const TeacherNetwork> tower_;
  ZeroShotHead head_;
  bool from_logits_ = false;
  NetworkShape shape_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_ZERO_SHOT_H_
