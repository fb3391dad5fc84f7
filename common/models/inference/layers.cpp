#include "common/models/inference/layers.h"

#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

ConvolutionLayer layer(const Tensors& weights, const std::string& name, const std::string& norm, std::int64_t stride) {
  return {name, norm, stride, weights.at(name + ".weight").size(3)};
}

// The stride of a stage is on its first block: on the first 3x3 convolution and on the shortcut.
ResidualBlock block(const Tensors& weights, const std::string& name, std::int64_t stride) {
  ResidualBlock out;
  for (int i = 1; weights.contains(text(name, ".conv", i, ".weight")); ++i) {
    ConvolutionLayer next = layer(weights, text(name, ".conv", i), text(name, ".bn", i), 1);
    if (next.kernel == 3) std::swap(next.stride, stride);
    out.path.push_back(std::move(next));
  }
  return out;
}

}  // namespace

ResNetLayers layers_of(const Tensors& weights) {
  ResNetLayers out{.stem = layer(weights, "conv1", "bn1", 2)};
  for (int stage = 1; stage <= 4; ++stage)
    for (int i = 0;; ++i) {
      const std::string name = text("layer", stage, '.', i);
      if (!weights.contains(name + ".conv1.weight")) break;
      const std::int64_t stride = stage > 1 && i == 0 ? 2 : 1;
      out.blocks.push_back(block(weights, name, stride));
      if (weights.contains(name + ".downsample.0.weight"))
        out.blocks.back().shortcut = layer(weights, name + ".downsample.0", name + ".downsample.1", stride);
    }
  return out;
}

}  // namespace vitrine
