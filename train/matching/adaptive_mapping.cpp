#include "train/matching/adaptive_mapping.h"

#include <torch/nn/modules/linear.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "common/base/error.h"
#include "common/models/convolution.h"
#include "train/losses/precision.h"

namespace vitrine {
namespace {

void check(const std::vector<at::Tensor>& maps, const std::vector<std::int64_t>& channels, const char* whose) {
  bool fits = maps.size() == channels.size();
  for (std::size_t i = 0; fits && i < maps.size(); ++i) fits = maps[i].dim() == 4 && maps[i].size(1) == channels[i];
  if (!fits)
    fail("The adaptive mapping got ", maps.size(), " maps of the ", whose, ", not the ", channels.size(),
         " with the channels that it was made for; check that model and tracks are those that the run began with.");
}

/// Means over positions, standardised over each image's vector: [N, C, H, W] -> [N, C].
at::Tensor pooled(const at::Tensor& map) {
  const at::Tensor mean = map.mean({2, 3});
  return at::layer_norm(mean, {mean.size(1)});
}

at::Tensor on_grid(const at::Tensor& map, std::int64_t height, std::int64_t width) {
  if (map.size(2) == height && map.size(3) == width) return map;
  return at::adaptive_avg_pool2d(map, {height, width});
}

}  // namespace

AdaptiveMappingImpl::AdaptiveMappingImpl(const std::vector<std::int64_t>& stages,
                                         const std::vector<std::int64_t>& blocks)
    : stages_(stages), blocks_(blocks) {
  if (stages.empty() || blocks.empty()) throw std::logic_error("AdaptiveMapping: no stages or no blocks");
  for (std::size_t s = 0; s < stages.size(); ++s)
    queries_.push_back(
        register_module("query" + std::to_string(s), std::make_shared<torch::nn::LinearImpl>(stages[s], kLength)));
  for (std::size_t t = 0; t < blocks.size(); ++t)
    keys_.push_back(
        register_module("key" + std::to_string(t), std::make_shared<torch::nn::LinearImpl>(blocks[t], kLength)));
  for (std::size_t s = 0; s < stages.size(); ++s) {
    projections_.emplace_back();
    for (std::size_t t = 0; t < blocks.size(); ++t)
      projections_.back().push_back(
          register_module("project" + std::to_string(s) + "_" + std::to_string(t),
                          std::make_shared<ConvolutionImpl>(torch::nn::Conv2dOptions(stages[s], blocks[t], 1))));
  }
}

MappedLoss AdaptiveMappingImpl::forward(const std::vector<at::Tensor>& stages, const std::vector<at::Tensor>& blocks) {
  const FullPrecision precision;
  check(stages, stages_, "student");
  check(blocks, blocks_, "teacher");
  std::vector<at::Tensor> keys, fixed;
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    fixed.push_back(precision.of(blocks[t]).detach());
    keys.push_back(keys_[t]->forward(pooled(fixed[t])));
  }
  const at::Tensor key = at::stack(keys, 1);  // [N, T, d]
  at::Tensor loss;
  std::vector<at::Tensor> weights;
  for (std::size_t s = 0; s < stages.size(); ++s) {
    const at::Tensor own = precision.of(stages[s]);
    const at::Tensor query = queries_[s]->forward(pooled(own)).unsqueeze(1);  // [N, 1, d]
    const at::Tensor alpha = at::softmax((query * key).sum(2) / std::sqrt(static_cast<double>(kLength)), 1);  // [N, T]
    std::vector<at::Tensor> errors;
    for (std::size_t t = 0; t < blocks.size(); ++t) {
      const std::int64_t height = std::min(own.size(2), fixed[t].size(2));
      const std::int64_t width = std::min(own.size(3), fixed[t].size(3));
      // Pooling and a 1×1 convolution commute; pooling first gives the convolution the smaller grid.
      const at::Tensor projected = projections_[s][t]->forward(on_grid(own, height, width));
      errors.push_back((projected - on_grid(fixed[t], height, width)).square().mean({1, 2, 3}));
    }
    const at::Tensor stage_loss = (alpha * at::stack(errors, 1)).sum(1).mean();
    loss = loss.defined() ? loss + stage_loss : stage_loss;
    weights.push_back(alpha.detach().mean(0));
  }
  return {loss / static_cast<double>(stages.size()), at::stack(weights)};
}

}  // namespace vitrine
