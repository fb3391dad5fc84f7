#include "common/models/inference/cost.h"

#include <ATen/ATen.h>

#include "common/models/inference/layers.h"
#include "common/models/weights/load.h"

namespace vitrine {
namespace {

struct PictureSide {
  std::int64_t height, width;
};

// The multiply-adds of a layer; `side` becomes the output's.
std::uint64_t layer_cost(const Tensors& weights, const ConvolutionLayer& layer, PictureSide& side) {
  const auto out = [&](std::int64_t length) {
    return (length + 2 * layer.padding() - layer.kernel) / layer.stride + 1;
  };
  side = {out(side.height), out(side.width)};
  return static_cast<std::uint64_t>(weights.at(layer.name + ".weight").numel() * side.height * side.width);
}

}  // namespace

NetworkCost cost_of(const ResNet& network, std::int64_t height, std::int64_t width) {
  NetworkCost out;
  for (const at::Tensor& parameter : network->parameters())
    out.parameters += static_cast<std::uint64_t>(parameter.numel());
  const Tensors weights = state_dict(*network);
  const ResNetLayers layers = layers_of(weights);
  PictureSide side{height, width};
  out.multiply_adds = layer_cost(weights, layers.stem, side);
  side = {(side.height + 1) / 2, (side.width + 1) / 2};
  for (const ResidualBlock& block : layers.blocks) {
    PictureSide beside = side;
    if (block.shortcut) out.multiply_adds += layer_cost(weights, *block.shortcut, beside);
    for (const ConvolutionLayer& layer : block.path) out.multiply_adds += layer_cost(weights, layer, side);
  }
  out.multiply_adds += static_cast<std::uint64_t>(weights.at("fc.weight").numel());
  return out;
}

std::uint64_t multiply_adds_of(const VitStructure& s) {
  const std::int64_t tokens = s.tokens(), dim = s.dim, attention = std::int64_t{s.heads} * s.head_dim;
  const std::int64_t mlp = (s.mlp == VitMlp::kPlain ? 2 : 3) * dim * s.mlp_hidden;
  const std::int64_t block = tokens * (4 * dim * attention + mlp) + 2 * tokens * tokens * attention;
  const std::int64_t patches = std::int64_t{s.patches()} * dim * 3 * s.patch * s.patch;
  return static_cast<std::uint64_t>(patches + s.depth * block + std::int64_t{s.classes} * dim);
}

}  // namespace vitrine
