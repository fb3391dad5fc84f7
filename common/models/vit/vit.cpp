#include "common/models/vit/vit.h"

#include <torch/nn/module.h>
#include <torch/nn/modules/container/modulelist.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/normalization.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <optional>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/head.h"
#include "common/models/vit/block.h"
#include "common/models/vit/rollout.h"

namespace vitrine {
namespace {

constexpr double kTapEps = 1e-6;

void check_blocks(const std::vector<int64_t>& taps, int depth) {
  for (const int64_t block : taps)
    if (block < 0 || block >= depth) fail("block ", block, " cannot be tapped; the ViT has blocks 0 to ", depth - 1);
}

bool contains(const std::vector<int64_t>& blocks, int64_t block) {
  return std::find(blocks.begin(), blocks.end(), block) != blocks.end();
}

}  // namespace

VitImpl::VitImpl(const VitOptions& options) : VitImpl(structure_of(options)) {}

VitImpl::VitImpl(const VitStructure& structure, VitWeights weights) : structure_(structure) {
  structure_.check("");
  tables_ = position_tables(structure_);
  const bool random = weights == VitWeights::kRandom;
  register_tokens();
  const auto embed = register_module("patch_embed", std::make_shared<torch::nn::Module>("PatchEmbed"));
  proj_ = embed->register_module(
      "proj",
      std::make_shared<torch::nn::Conv2dImpl>(
          torch::nn::Conv2dOptions(3, dim(), structure_.patch).stride(structure_.patch).bias(structure_.patch_bias)));
  if (structure_.norm_pre) norm_pre_ = register_module("norm_pre", layer_norm(dim(), structure_.eps));
  blocks_ = register_module("blocks", std::make_shared<torch::nn::ModuleListImpl>());
  for (int i = 0; i < depth(); ++i) blocks_->push_back(std::make_shared<VitBlockImpl>(structure_, random));
  register_outputs(random);
}

void VitImpl::register_tokens() {
  const VitStructure& s = structure_;
  const auto token = [&](const char* name, int rows) {
    return register_parameter(name, at::empty({1, rows, s.dim}).normal_(0, 1e-6));
  };
  if (s.class_token) cls_token_ = token("cls_token", 1);
  if (s.distillation_token) dist_token_ = token("dist_token", 1);
  if (s.registers > 0) reg_token_ = token("reg_token", s.registers);
  if (s.positions != VitPositions::kNone)
    pos_embed_ = register_parameter(
        "pos_embed",
        at::empty({1, s.positions == VitPositions::kAllTokens ? s.tokens() : s.patches(), s.dim}).normal_(0, 0.02));
}

void VitImpl::register_outputs(bool random) {
  const VitStructure& s = structure_;
  if (s.norm) norm_ = register_module("norm", layer_norm(s.dim, s.eps));
  if (s.pooling == VitPooling::kAttention) attn_pool_ = register_module("attn_pool", VitPool(s, random));
  if (s.fc_norm) fc_norm_ = register_module("fc_norm", layer_norm(s.dim, s.eps));
  if (s.classes == 0) return;
  head_ = register_module("head", Dense(s.dim, s.classes, s.head_bias, random));
  if (s.pooling == VitPooling::kClassAndDistilled)
    head_dist_ = register_module("head_dist", Dense(s.dim, s.classes, s.head_bias, random));
}

void VitImpl::to(at::Device device, bool non_blocking) {
  torch::nn::Module::to(device, non_blocking);
  for (at::Tensor* table : {&tables_.sin, &tables_.cos, &tables_.relative_index})
    if (table->defined()) *table = table->to(device, non_blocking);
}

void VitImpl::check_taps(const VitTaps& taps) const {
  check_blocks(taps.features, depth());
  check_blocks(taps.attentions, depth());
}

VitOutputs VitImpl::forward(const at::Tensor& pictures, const VitTaps& taps) {
  check_taps(taps);
  const int64_t size = structure_.image_size;
  if (pictures.dim() != 4 || pictures.size(1) != 3 || pictures.size(2) != size || pictures.size(3) != size)
    fail("the ViT cannot take images of shape ", pictures.sizes(), "; expected [N, 3, ", size, ", ", size, "]");

  std::optional<Autocast> off;  // a frozen network has its types
  if (!frozen_proj_.is_empty()) off.emplace(pictures.device(), at::kFloat);
  VitOutputs outputs;
  outputs.features.resize(taps.features.size());
  outputs.attentions.resize(taps.attentions.size());
  const auto put_map = [&](int64_t block, const at::Tensor& map) {
    for (std::size_t i = 0; i < taps.attentions.size(); ++i)
      if (taps.attentions[i] == block)
        outputs.attentions[i] = map.reshape({map.size(0), map.size(1), grid(), grid()}).contiguous();
  };
  at::Tensor x = embed(pictures);
  Rollout rollout(structure_.prefix_tokens(), structure_.class_token);
  const int64_t last_rolled = taps.rollout && !taps.attentions.empty() ? std::ranges::max(taps.attentions) : -1;
  for (int64_t block = 0; block < depth(); ++block) {
    const bool wanted = contains(taps.attentions, block) && !taps.rollout && !maps_pool(block);
    at::Tensor map;
    const AttentionTap tap{wanted ? &map : nullptr, block <= last_rolled ? &rollout : nullptr};
    x = blocks_->at<VitBlockImpl>(static_cast<std::size_t>(block)).forward(x, tables_, tap);
    if (wanted) put_map(block, map);
    if (taps.rollout && contains(taps.attentions, block)) put_map(block, rollout.row());
    for (std::size_t i = 0; i < taps.features.size(); ++i)
      if (taps.features[i] == block) outputs.features[i] = patch_map(x, taps.normalise);
  }
  at::Tensor row;
  const bool wants_row = maps_pool(depth() - 1) && !taps.rollout && contains(taps.attentions, depth() - 1);
  finish(x, outputs, wants_row ? &row : nullptr);
  if (wants_row) put_map(depth() - 1, row);
  return outputs;
}

at::Tensor VitImpl::embed(const at::Tensor& pictures) {
  const int64_t n = pictures.size(0);
  at::Tensor x = embed_patches(pictures).to(at::kFloat);
  const bool all = structure_.positions == VitPositions::kAllTokens;
  if (structure_.positions == VitPositions::kPatches) x = x + pos_embed_;
  std::vector<at::Tensor> parts;
  for (const at::Tensor& token : {cls_token_, dist_token_, reg_token_})
    if (token.defined()) parts.push_back(token.expand({n, -1, -1}));
  parts.push_back(x);
  if (parts.size() > 1) x = at::cat(parts, 1);
  if (all) x = x + pos_embed_;
  return norm_pre_ ? norm_pre_->forward(x) : x;
}

at::Tensor VitImpl::embed_patches(const at::Tensor& pictures) {
  if (frozen_proj_.is_empty()) return proj_->forward(pictures).flatten(2).transpose(1, 2);
  const int64_t side = grid(), patch = structure_.patch;
  const at::Tensor cut = pictures.view({pictures.size(0), 3, side, patch, side, patch}).permute({0, 2, 4, 1, 3, 5});
  return frozen_proj_->forward(cut.reshape({pictures.size(0), side * side, 3 * patch * patch}));
}

void VitImpl::freeze(at::ScalarType type) {
  const at::NoGradGuard no_grad;
  for (std::size_t block = 0; block < blocks_->size(); ++block) blocks_->at<VitBlockImpl>(block).freeze(type, tables_);
  frozen_proj_ = Dense(proj_->weight, proj_->bias);
  frozen_proj_->freeze(type, {});
}

at::Tensor VitImpl::patch_map(const at::Tensor& x, bool normalise) const {
  at::Tensor tokens = x.narrow(1, structure_.prefix_tokens(), structure_.patches()).to(at::kFloat);
  if (normalise) tokens = at::layer_norm(tokens, {dim()}, {}, {}, kTapEps);
  return tokens.transpose(1, 2).reshape({x.size(0), dim(), grid(), grid()}).contiguous();
}

bool VitImpl::maps_pool(std::int64_t block) const {
  return block == depth() - 1 && !structure_.class_token && structure_.pooling == VitPooling::kAttention &&
         structure_.pool_heads == structure_.heads;
}

at::Tensor VitImpl::pool(const at::Tensor& tokens, at::Tensor* row) {
  const auto normed = [&](const at::Tensor& x) { return norm_ ? norm_->forward(x) : x; };
  at::Tensor pooled;
  switch (structure_.pooling) {
    case VitPooling::kClass:
      pooled = normed(tokens.select(1, 0));
      break;
    case VitPooling::kClassAndDistilled:
      pooled = normed(tokens.narrow(1, 0, 2));
      break;
    case VitPooling::kMean:
      pooled = normed(tokens.narrow(1, structure_.prefix_tokens(), structure_.patches())).mean(1);
      break;
    case VitPooling::kAttention:
      pooled = attn_pool_->forward(normed(tokens), row);
      break;
  }
  return fc_norm_ ? fc_norm_->forward(pooled) : pooled;
}

void VitImpl::finish(const at::Tensor& tokens, VitOutputs& outputs, at::Tensor* row) {
  const Autocast off(tokens.device(), at::kFloat);
  const at::Tensor pooled = pool(tokens.to(at::kFloat), row);
  const bool distilled = structure_.pooling == VitPooling::kClassAndDistilled;
  outputs.pooled = distilled ? pooled.mean(1) : pooled;
  if (head_.is_empty()) return;
  const auto logits = [](const at::Tensor& x, const Dense& head) {
    return full_precision_linear(x, head->weight(), head->bias());
  };
  outputs.logits = distilled ? (logits(pooled.select(1, 0), head_) + logits(pooled.select(1, 1), head_dist_)) / 2
                             : logits(pooled, head_);
}

}  // namespace vitrine
