// The layers of a ResNet in the order of its forward, from the names in its weights.
#ifndef VITRINE_COMMON_MODELS_INFERENCE_LAYERS_H_
#define VITRINE_COMMON_MODELS_INFERENCE_LAYERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"

namespace vitrine {

/// A square convolution without bias, and the BatchNorm after it.
struct ConvolutionLayer {
  std::string name, norm;  ///< "layer1.0.conv1", "layer1.0.bn1"
  std::int64_t stride = 1, kernel = 1;
  std::int64_t padding() const { return kernel / 2; }
};

/// relu(path(x) + shortcut(x)), with a ReLU between the layers of the path.
struct ResidualBlock {
  std::vector<ConvolutionLayer> path;
  std::optional<ConvolutionLayer> shortcut;  ///< absent: the identity
};

/// The stem is followed by a ReLU and a 3×3 max-pooling of stride 2, the blocks by the mean over positions and "fc".
struct ResNetLayers {
  ConvolutionLayer stem;
  std::vector<ResidualBlock> blocks;
};

/// `weights`: those of a ResNet of common/models/resnet.h.
ResNetLayers layers_of(const Tensors& weights);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INFERENCE_LAYERS_H_
