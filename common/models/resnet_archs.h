// The published depths of a ResNet (He et al. 2015, "Deep Residual Learning for Image Recognition", table 1), by
// torchvision's names. Free of LibTorch.
#ifndef VITRINE_COMMON_MODELS_RESNET_ARCHS_H_
#define VITRINE_COMMON_MODELS_RESNET_ARCHS_H_

#include <array>

namespace vitrine {

struct ResNetArch {
  const char* name;
  bool bottleneck;            ///< blocks of 1x1, 3x3 and 1x1 convolutions instead of two 3x3
  std::array<int, 4> blocks;  ///< of each stage
};

inline constexpr std::array kResNetArchs{
    ResNetArch{"resnet18", false, {2, 2, 2, 2}}, ResNetArch{"resnet34", false, {3, 4, 6, 3}},
    ResNetArch{"resnet50", true, {3, 4, 6, 3}}, ResNetArch{"resnet101", true, {3, 4, 23, 3}},
    ResNetArch{"resnet152", true, {3, 8, 36, 3}}};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_RESNET_ARCHS_H_
