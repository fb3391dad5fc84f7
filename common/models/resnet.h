// ResNet (He et al., arXiv:1512.03385) with torchvision's structure, names and initialisation; the stride of a
// bottleneck is on its 3x3 convolution ("V1.5").
#ifndef VITRINE_COMMON_MODELS_RESNET_H_
#define VITRINE_COMMON_MODELS_RESNET_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <array>
#include <string>
#include <vector>

#include "common/models/module_ptr.h"

namespace vitrine {

class ResNetImpl : public torch::nn::Module {
 public:
  struct Outputs {
    at::Tensor logits;               ///< [N, classes], FP32
    std::vector<at::Tensor> stages;  ///< outputs of layer1 to layer4: [N, widths()[i], H, W] at strides 4, 8, 16, 32
  };

  /// arch: resnet18, resnet34, resnet50, resnet101 or resnet152; otherwise throws Error. `width`: channels of the first
  /// convolution and of layer1's inner convolutions, doubled in each stage; 64 is the published model. Initialised from
  /// the default CPU generator; seed it with at::manual_seed.
  ResNetImpl(const std::string& arch, int classes, int width = 64);

  /// x: [N, 3, H, W], FP32, any memory format. Stages have the compute type (16 bits inside an Autocast); pooling and
  /// the head are always FP32.
  Outputs forward(at::Tensor x);

  std::array<int, 4> widths() const { return widths_; }

 private:
  std::array<int, 4> widths_{};
  Conv2dPtr conv1_;
  BatchNorm2dPtr bn1_;
  std::array<SequentialPtr, 4> layers_;
  LinearPtr fc_;
};
TORCH_MODULE(ResNet);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_RESNET_H_
