#include "common/models/vit/block.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/normalization.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "common/models/autocast.h"
#include "common/models/vit/attention.h"
#include "common/models/vit/residual.h"
#include "common/models/vit/rollout.h"

namespace vitrine {
namespace {

at::TensorOptions tables_options(const Dense& layer) {
  return at::TensorOptions(layer->weight().device()).dtype(at::kFloat);
}

}  // namespace

LayerNormPtr layer_norm(std::int64_t width, double eps) {
  return std::make_shared<torch::nn::LayerNormImpl>(torch::nn::LayerNormOptions({width}).eps(eps));
}

at::Tensor split_heads(const at::Tensor& x, std::int64_t heads) {
  return x.unflatten(2, {heads, -1}).transpose(1, 2);
}

VitAttentionImpl::VitAttentionImpl(const VitStructure& s, bool random)
    : heads_(s.heads), head_dim_(s.head_dim), prefix_tokens_(s.prefix_tokens()), class_token_(s.class_token) {
  const std::int64_t width = std::int64_t{s.heads} * s.head_dim;
  if (s.qkv == VitQkv::kSplit) {
    q_proj_ = register_module("q_proj", Dense(s.dim, width, s.qkv_bias, random));
    k_proj_ = register_module("k_proj", Dense(s.dim, width, false, random));
    v_proj_ = register_module("v_proj", Dense(s.dim, width, s.qkv_bias, random));
  } else {
    qkv_ = register_module("qkv", Dense(s.dim, 3 * width, s.qkv == VitQkv::kFused && s.qkv_bias, random));
  }
  if (s.qkv == VitQkv::kFusedQvBias && s.qkv_bias) {
    q_bias_ = register_parameter("q_bias", at::zeros({width}));
    v_bias_ = register_parameter("v_bias", at::zeros({width}));
  }
  if (s.relative_positions)
    relative_table_ =
        register_parameter("relative_position_bias_table", at::zeros({relative_table_rows(s.grid()), s.heads}));
  if (s.attention_norm) norm_ = register_module("norm", layer_norm(width, s.eps));
  proj_ = register_module("proj", Dense(width, s.dim, true, random));
}

at::Tensor VitAttentionImpl::fused_bias() const {
  return q_bias_.defined() ? at::cat({q_bias_, at::zeros_like(q_bias_), v_bias_}) : at::Tensor();
}

VitAttentionImpl::Heads VitAttentionImpl::project(const at::Tensor& x, const VitPositionTables& tables) const {
  Heads out;
  if (qkv_.is_empty()) {
    out = {split_heads(q_proj_->forward(x), heads_), split_heads(k_proj_->forward(x), heads_),
           split_heads(v_proj_->forward(x), heads_)};
  } else {
    const at::Tensor fused = q_bias_.defined() && !frozen_ ? qkv_->forward(x, fused_bias()) : qkv_->forward(x);
    const at::Tensor qkv = fused.reshape({x.size(0), x.size(1), 3, heads_, -1}).permute({2, 0, 3, 1, 4});
    out = {qkv[0], qkv[1], qkv[2]};
  }
  out.q = rotate(out.q, tables);
  out.k = rotate(out.k, tables);
  return out;
}

at::Tensor VitAttentionImpl::forward(const at::Tensor& x, const VitPositionTables& tables,
                                     const AttentionTap& tap) const {
  const Heads heads = project(x, tables);
  const at::Tensor bias = frozen_relative_.defined()  ? frozen_relative_
                          : relative_table_.defined() ? relative_bias(relative_table_, tables)
                                                      : at::Tensor();
  if (tap.map != nullptr) *tap.map = attention_map(heads, bias);
  if (tap.rollout != nullptr) add_to_rollout(heads, bias, *tap.rollout);
  const at::Tensor joined = mix(heads, bias);
  return proj_->forward(norm_ ? norm_->forward(joined) : joined);
}

at::Tensor VitAttentionImpl::mix(const Heads& heads, const at::Tensor& bias) const {
  const at::Tensor& q = heads.q;
  if (frozen_ && q.is_cpu()) return fused_attention(q, heads.k, heads.v, bias);
  const std::optional<at::Tensor> mask = bias.defined() ? std::optional(bias.to(q.scalar_type())) : std::nullopt;
  return at::scaled_dot_product_attention(q, heads.k, heads.v, mask, 0, false,
                                          frozen_ ? std::optional(1.0) : std::optional<double>())
      .transpose(1, 2)
      .flatten(2);
}

void VitAttentionImpl::freeze(at::ScalarType type, const VitPositionTables& tables, const at::Tensor& layer_scale) {
  const at::NoGradGuard no_grad;
  const at::Tensor q_scale =
      at::full({heads_ * head_dim_}, 1 / std::sqrt(static_cast<double>(head_dim_)), tables_options(proj_));
  if (qkv_.is_empty()) {
    q_proj_->freeze(type, {q_scale, {}});
    k_proj_->freeze(type, {});
    v_proj_->freeze(type, {});
  } else {
    const at::Tensor one = at::ones_like(q_scale);
    qkv_->freeze(type, {at::cat({q_scale, one, one}), fused_bias()});
  }
  if (relative_table_.defined()) frozen_relative_ = relative_bias(relative_table_.detach(), tables).contiguous();
  proj_->freeze(type, {layer_scale, {}});
  frozen_ = true;
}

at::Tensor VitAttentionImpl::attention_map(const Heads& heads, const at::Tensor& bias) const {
  const Autocast off(heads.q.device(), at::kFloat);
  const std::int64_t patches = heads.k.size(2) - prefix_tokens_;
  const std::int64_t first = class_token_ ? 0 : prefix_tokens_, rows = class_token_ ? 1 : patches;
  const at::Tensor query = queries(heads, first, rows);
  const at::Tensor key = heads.k.to(at::kFloat).transpose(2, 3);
  const auto row_of = [&](const at::Tensor& q, const at::Tensor& k) {
    at::Tensor scores = at::matmul(q, k);
    if (bias.defined()) scores = scores + bias.narrow(2, first, rows);
    return at::softmax(scores, -1).narrow(3, prefix_tokens_, patches);
  };
  if (class_token_) return row_of(query, key).squeeze(2);
  // View by view: all rows of a batch at once would take heads · tokens² floats per view.
  std::vector<at::Tensor> means;
  for (std::int64_t n = 0; n < query.size(0); ++n)
    means.push_back(row_of(query.narrow(0, n, 1), key.narrow(0, n, 1)).mean(2));
  return at::cat(means);
}

at::Tensor VitAttentionImpl::queries(const Heads& heads, std::int64_t first, std::int64_t rows) const {
  const at::Tensor query = heads.q.narrow(2, first, rows).to(at::kFloat);
  return frozen_ ? query : query / std::sqrt(static_cast<double>(head_dim_));
}

void VitAttentionImpl::add_to_rollout(const Heads& heads, const at::Tensor& bias, Rollout& rollout) const {
  const Autocast off(heads.q.device(), at::kFloat);
  const at::Tensor query = queries(heads, 0, heads.q.size(2)), key = heads.k.to(at::kFloat).transpose(2, 3);
  rollout.add(query.size(0), [&](std::int64_t view) {
    const at::Tensor scores = at::matmul(query[view], key[view]);
    return at::softmax(bias.defined() ? scores + bias[0] : scores, -1).mean(0);
  });
}

VitMlpLayersImpl::VitMlpLayersImpl(const VitStructure& s, bool random) : kind_(s.mlp), activation_(s.activation) {
  if (s.mlp == VitMlp::kSwigluSplit) {
    fc1_g_ = register_module("fc1_g", Dense(s.dim, s.mlp_hidden, true, random));
    fc1_x_ = register_module("fc1_x", Dense(s.dim, s.mlp_hidden, true, random));
  } else {
    fc1_ = register_module("fc1", Dense(s.dim, (s.mlp == VitMlp::kPlain ? 1 : 2) * s.mlp_hidden, true, random));
  }
  if (s.mlp_norm) norm_ = register_module("norm", layer_norm(s.mlp_hidden, s.eps));
  fc2_ = register_module("fc2", Dense(s.mlp_hidden, s.dim, true, random));
}

at::Tensor VitMlpLayersImpl::forward(const at::Tensor& x) const {
  at::Tensor hidden;
  if (kind_ == VitMlp::kPlain) {
    hidden = fc1_->forward_activated(x, activation_);
  } else if (kind_ == VitMlp::kSwigluSplit) {
    hidden = fc1_g_->forward_activated(x, activation_) * fc1_x_->forward(x);
  } else {
    const std::vector<at::Tensor> parts = fc1_->forward(x).chunk(2, -1);
    hidden = activate(parts[0], activation_) * parts[1];
  }
  return fc2_->forward(norm_ ? norm_->forward(hidden) : hidden);
}

void VitMlpLayersImpl::freeze(at::ScalarType type, const at::Tensor& layer_scale) {
  for (const Dense& layer : {fc1_, fc1_g_, fc1_x_})
    if (!layer.is_empty()) layer.ptr()->freeze(type, {});
  fc2_->freeze(type, {layer_scale, {}});
}

VitBlockImpl::VitBlockImpl(const VitStructure& s, bool random) {
  norm1_ = register_module("norm1", layer_norm(s.dim, s.eps));
  attn_ = register_module("attn", VitAttention(s, random));
  norm2_ = register_module("norm2", layer_norm(s.dim, s.eps));
  mlp_ = register_module("mlp", VitMlpLayers(s, random));
  const auto scale = [&](const char* ls, const char* gamma) {
    if (s.layer_scale == VitLayerScale::kGamma) return register_parameter(gamma, at::ones({s.dim}));
    const auto module = register_module(ls, std::make_shared<torch::nn::Module>("LayerScale"));
    return module->register_parameter("gamma", at::ones({s.dim}));
  };
  if (s.layer_scale == VitLayerScale::kNone) return;
  scale1_ = scale("ls1", "gamma_1");
  scale2_ = scale("ls2", "gamma_2");
}

at::Tensor VitBlockImpl::forward(const at::Tensor& x, const VitPositionTables& tables, const AttentionTap& tap) const {
  if (frozen_) {
    const at::Tensor mixed = attn_->forward(add_and_normalise(x, {}, norm1_, product_type_), tables, tap);
    add_branch(x, mlp_->forward(add_and_normalise(x, mixed, norm2_, product_type_)));
    return x;
  }
  const auto scaled = [](const at::Tensor& branch, const at::Tensor& scale) {
    return scale.defined() ? branch * scale : branch;
  };
  const at::Tensor mixed = x + scaled(attn_->forward(norm1_->forward(x), tables, tap), scale1_);
  return mixed + scaled(mlp_->forward(norm2_->forward(mixed)), scale2_);
}

void VitBlockImpl::freeze(at::ScalarType type, const VitPositionTables& tables) {
  attn_->freeze(type, tables, scale1_);
  mlp_->freeze(type, scale2_);
  scale1_ = scale2_ = at::Tensor();
  frozen_ = true;
  product_type_ = type;
}

}  // namespace vitrine
