#include "train/matching/embedding_projector.h"

#include <torch/nn/modules/linear.h>
#include <ATen/ATen.h>

#include "common/models/head.h"
#include "train/losses/feature.h"

namespace vitrine {

EmbeddingProjectorImpl::EmbeddingProjectorImpl(std::int64_t width, std::int64_t embedding)
    : layer_(register_module("layer", std::make_shared<torch::nn::LinearImpl>(width, embedding))) {}

at::Tensor EmbeddingProjectorImpl::forward(const at::Tensor& stage, const at::Tensor& target) {
  const auto pool = [](const at::Tensor& map) { return map.mean({2, 3}); };
  const auto as_map = [](const at::Tensor& vectors) { return vectors.unsqueeze(2).unsqueeze(3); };
  return feature_distance(as_map(full_precision_head(stage, pool, layer_->weight, layer_->bias)), as_map(target),
                          FeatureForm::kCosine);
}

}  // namespace vitrine
