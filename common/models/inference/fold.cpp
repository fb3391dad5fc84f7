#include "common/models/inference/fold.h"

#include <ATen/ATen.h>

namespace vitrine {

FoldedConvolution fold(const Tensors& weights, const ConvolutionLayer& layer) {
  const auto wide = [&](const std::string& name) { return weights.at(name).to(at::kDouble); };
  const at::Tensor scale =
      wide(layer.norm + ".weight") / (wide(layer.norm + ".running_var") + kBatchNormEpsilon).sqrt();
  return {(wide(layer.name + ".weight") * scale.view({-1, 1, 1, 1})).to(at::kFloat),
          (wide(layer.norm + ".bias") - wide(layer.norm + ".running_mean") * scale).to(at::kFloat)};
}

}  // namespace vitrine
