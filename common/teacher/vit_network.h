// A ViT that Vitrine builds itself, as a teacher's network.
#ifndef VITRINE_COMMON_TEACHER_VIT_NETWORK_H_
#define VITRINE_COMMON_TEACHER_VIT_NETWORK_H_

#include "common/models/vit/vit.h"
#include "common/teacher/network.h"

namespace vitrine {

class VitNetwork : public TeacherNetwork {
 public:
  /// `vit`: with its weights, on its device; is frozen here for arithmetic in `type` or, where that is faster, in a
  /// more precise one (fastest_product_type()). kFloat on a GPU, which has nothing to pack, leaves it as it is.
  VitNetwork(Vit vit, at::ScalarType type);

  const NetworkShape& shape() const override { return shape_; }
  ArchitectureRecord record() const override;
  double forward_bytes(std::uint32_t views) const override;
  bool has_rollout() const override { return true; }
  TeacherOutputs forward(const at::Tensor& x, const TeacherTaps& taps) const override;

 private:
  mutable Vit vit_;  // LibTorch's forward functions are not const
  NetworkShape shape_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_VIT_NETWORK_H_
