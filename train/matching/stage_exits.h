// Auxiliary heads at a ResNet's stages, which compare each stage with the teacher in logit space, where features of
// transformers and convolutional networks are comparable (OFA-KD, Hao et al. 2023, section 3.2). Used in training only.
#ifndef VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_
#define VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/models/module_ptr.h"

namespace vitrine {

/// Stage i is brought to the last stage's size by one depthwise separable 3×3 convolution of stride 2 per following
/// stage (depthwise, pointwise, BatchNorm, ReLU; with the stages' widths), then average pooling and a linear layer.
class StageExitsImpl : public torch::nn::Module {
 public:
  /// Weights are initialised from torch's default generator.
  StageExitsImpl(const std::vector<std::int64_t>& widths, int classes);

  /// stages: [N, widths[i], H_i, W_i], one per width. Returns the logits [N, classes] of each stage, FP32.
  std::vector<at::Tensor> forward(const std::vector<at::Tensor>& stages);

 private:
  std::vector<SequentialPtr> paths_;
  std::vector<LinearPtr> heads_;
};
TORCH_MODULE(StageExits);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_
