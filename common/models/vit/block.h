// A pre-norm transformer block of a ViT, in all forms that a VitStructure describes.
#ifndef VITRINE_COMMON_MODELS_VIT_BLOCK_H_
#define VITRINE_COMMON_MODELS_VIT_BLOCK_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include "common/models/module_ptr.h"
#include "common/models/vit/dense.h"
#include "common/models/vit/positions.h"
#include "common/models/vit/structure.h"

namespace vitrine {

LayerNormPtr layer_norm(std::int64_t width, double eps);

/// [N, tokens, heads · head_dim] as [N, heads, tokens, head_dim]; a view.
at::Tensor split_heads(const at::Tensor& x, std::int64_t heads);

class Rollout;

/// Where a block writes its attention map; computed in FP32.
struct AttentionTap {
  /// Receives FP32 [N, heads, patches]: the class token's softmax row over the patches; without a class token the mean
  /// of the patches' rows. Null: not wanted.
  at::Tensor* map = nullptr;
  /// Receives the softmax weights of all heads. Null: not wanted.
  Rollout* rollout = nullptr;
};

class VitAttentionImpl : public torch::nn::Module {
 public:
  VitAttentionImpl(const VitStructure& structure, bool random);

  /// x: [N, tokens, dim].
  at::Tensor forward(const at::Tensor& x, const VitPositionTables& tables, const AttentionTap& tap) const;
  /// As DenseImpl::freeze(). `layer_scale`: [dim], multiplies the result; or undefined.
  void freeze(at::ScalarType type, const VitPositionTables& tables, const at::Tensor& layer_scale);

 private:
  struct Heads {
    at::Tensor q, k, v;  ///< [N, heads, tokens, head_dim], rotated
  };
  Heads project(const at::Tensor& x, const VitPositionTables& tables) const;
  at::Tensor fused_bias() const;
  /// softmax(q kᵀ + bias) v: [N, tokens, heads · head_dim].
  at::Tensor mix(const Heads& heads, const at::Tensor& bias) const;
  at::Tensor attention_map(const Heads& heads, const at::Tensor& bias) const;
  void add_to_rollout(const Heads& heads, const at::Tensor& bias, Rollout& rollout) const;
  /// The queries of `rows` tokens from `first` on, FP32, scaled.
  at::Tensor queries(const Heads& heads, std::int64_t first, std::int64_t rows) const;

  std::int64_t heads_, head_dim_, prefix_tokens_;
  bool class_token_;
  bool frozen_ = false;  ///< the scale 1 / √head_dim is in the weights of q
  Dense qkv_{nullptr}, q_proj_{nullptr}, k_proj_{nullptr}, v_proj_{nullptr}, proj_{nullptr};
  LayerNormPtr norm_;
  at::Tensor q_bias_, v_bias_, relative_table_;
  at::Tensor frozen_relative_;  ///< relative_bias()
};
TORCH_MODULE(VitAttention);

class VitMlpLayersImpl : public torch::nn::Module {
 public:
  VitMlpLayersImpl(const VitStructure& structure, bool random);

  /// x: [N, tokens, dim].
  at::Tensor forward(const at::Tensor& x) const;
  /// As VitAttentionImpl::freeze().
  void freeze(at::ScalarType type, const at::Tensor& layer_scale);

 private:
  VitMlp kind_;
  VitActivation activation_;
  Dense fc1_{nullptr}, fc1_g_{nullptr}, fc1_x_{nullptr}, fc2_{nullptr};
  LayerNormPtr norm_;
};
TORCH_MODULE(VitMlpLayers);

class VitBlockImpl : public torch::nn::Module {
 public:
  VitBlockImpl(const VitStructure& structure, bool random);

  /// x: [N, tokens, dim], FP32; so is the result. A frozen block updates x in place and returns it; a new residual
  /// buffer is slower for ViT-Ti.
  at::Tensor forward(const at::Tensor& x, const VitPositionTables& tables, const AttentionTap& tap) const;
  void freeze(at::ScalarType type, const VitPositionTables& tables);

 private:
  LayerNormPtr norm1_, norm2_;
  VitAttention attn_{nullptr};
  VitMlpLayers mlp_{nullptr};
  at::Tensor scale1_, scale2_;  ///< LayerScale, [dim]; undefined without
  bool frozen_ = false;
  at::ScalarType product_type_ = at::kFloat;  ///< of the frozen products
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_BLOCK_H_
