// Heads at a ResNet's stages, so that each stage meets the teacher in the space of logits, where a transformer's and a
// convolutional network's features can be compared (OFA-KD, Hao et al. 2023, section 3.2). They serve training alone.
#ifndef VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_
#define VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_

#include <torch/torch.h>

#include <cstdint>
#include <vector>

namespace vitrine {

/// Stage i reaches the last stage's size by one depthwise separable 3×3 convolution of stride 2 for each stage between
/// (depthwise, pointwise, BatchNorm, ReLU; the widths are the stages'), then pooling and a linear layer.
class StageExitsImpl : public torch::nn::Module {
 public:
  /// Weights from torch's default generator.
  StageExitsImpl(const std::vector<std::int64_t>& widths, int classes);

  /// stages: [N, widths[i], H_i, W_i], one for each width. Logits [N, classes] of each, FP32.
  std::vector<at::Tensor> forward(const std::vector<at::Tensor>& stages);

 private:
  std::vector<torch::nn::Sequential> paths_;
  std::vector<torch::nn::Linear> heads_;
};
TORCH_MODULE(StageExits);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_STAGE_EXITS_H_
