#include "common/models/vit/pool.h"

#include <torch/nn/modules/normalization.h>
#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <cmath>

#include "common/models/vit/block.h"

namespace vitrine {

VitPoolImpl::VitPoolImpl(const VitStructure& s, bool random)
    : heads_(s.pool_heads),
      patches_(s.patches()),
      prefix_tokens_(s.prefix_tokens()),
      sees_prefix_(s.pool_prefix),
      activation_(s.activation) {
  latent_ = register_parameter("latent", at::empty({1, 1, s.dim}).normal_(0, 1 / std::sqrt(double(s.dim))));
  q_ = register_module("q", Dense(s.dim, s.dim, true, random));
  kv_ = register_module("kv", Dense(s.dim, 2 * s.dim, true, random));
  proj_ = register_module("proj", Dense(s.dim, s.dim, true, random));
  norm_ = register_module("norm", layer_norm(s.dim, s.eps));
  const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>("Mlp"));
  fc1_ = mlp->register_module("fc1", Dense(s.dim, s.pool_hidden, true, random));
  fc2_ = mlp->register_module("fc2", Dense(s.pool_hidden, s.dim, true, random));
}

at::Tensor VitPoolImpl::forward(const at::Tensor& all, at::Tensor* row) const {
  const at::Tensor x = sees_prefix_ ? all : all.narrow(1, prefix_tokens_, patches_);
  const std::int64_t n = x.size(0), tokens = x.size(1);
  const at::Tensor q = split_heads(q_->forward(latent_), heads_);
  const at::Tensor kv = kv_->forward(x).reshape({n, tokens, 2, heads_, -1}).permute({2, 0, 3, 1, 4});
  const at::Tensor scores = at::matmul(q / std::sqrt(static_cast<double>(q.size(3))), kv[0].transpose(2, 3));
  const at::Tensor weights = at::softmax(scores, -1);
  if (row != nullptr) *row = weights.squeeze(2).narrow(2, tokens - patches_, patches_);
  const at::Tensor z = proj_->forward(at::matmul(weights, kv[1]).transpose(1, 2).reshape({n, 1, -1}));
  const at::Tensor mlp = fc2_->forward(fc1_->forward_activated(norm_->forward(z), activation_));
  return (z + mlp).squeeze(1);
}

}  // namespace vitrine
