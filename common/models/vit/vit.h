// The Vision Transformer (Dosovitskiy et al., arXiv:2010.11929) in the forms that people use as teachers: one network,
// configured by a VitStructure, with timm's parameter names, so that timm's weights load unchanged.
#ifndef VITRINE_COMMON_MODELS_VIT_VIT_H_
#define VITRINE_COMMON_MODELS_VIT_VIT_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <vector>

#include "common/models/module_ptr.h"
#include "common/models/vit/dense.h"
#include "common/models/vit/options.h"
#include "common/models/vit/pool.h"
#include "common/models/vit/positions.h"
#include "common/models/vit/structure.h"

namespace vitrine {

/// Intermediate outputs to return. Blocks are numbered from 0; outputs have the order of the list.
struct VitTaps {
  std::vector<int64_t> features, attentions;
  /// Apply a LayerNorm without affine (eps 1e-6) to feature taps.
  bool normalise = true;
  /// Attention taps are attention rollouts (rollout.h) from the first block to theirs.
  bool rollout = false;
};

struct VitOutputs {
  /// [N, classes], FP32; undefined without a head.
  at::Tensor logits;
  /// [N, dim], FP32: what the head takes; for a distilled ViT the mean of both tokens, unless it has one head.
  at::Tensor pooled;
  /// [N, dim, grid, grid], FP32, contiguous: the patch tokens after a block.
  std::vector<at::Tensor> features;
  /// [N, heads, grid, grid], FP32, softmax weights over the patches; the columns of prefix tokens are left out:
  /// - with a class token: its row;
  /// - without: the mean over the patches' rows, and in the last block of a ViT with an attention pool of equally many
  ///   heads the pool's row.
  /// A rollout is [N, 1, grid, grid]: the class token's row or, without one, the mean over the patches' rows.
  std::vector<at::Tensor> attentions;
};

/// Weights of a new network: kRandom as in timm, from the default CPU generator (seed it with at::manual_seed);
/// kUninitialised for weights that are loaded.
enum class VitWeights { kRandom, kUninitialised };

class VitImpl : public torch::nn::Module {
 public:
  explicit VitImpl(const VitOptions& options);
  /// Throws Error for a structure that VitStructure::check() rejects.
  explicit VitImpl(const VitStructure& structure, VitWeights weights = VitWeights::kRandom);

  /// x: [N, 3, image_size, image_size], FP32. Computed in FP32, or in 16 bits inside an Autocast; the residual stream,
  /// what follows the blocks and attention maps are always FP32. Throws Error for a tap of a block that does not exist
  /// and for another image size. Thread-safe.
  VitOutputs forward(const at::Tensor& x, const VitTaps& taps = {});

  /// Prepares a network with its final weights, on its final device, for inference with products in kBFloat16, kHalf or
  /// kFloat: weights are cast once and packed where that helps (dense.h), LayerScale and the attention's scale are
  /// folded into them. The residual stream, LayerNorms, softmax and what follows the blocks stay FP32. forward() then
  /// needs no Autocast, and is not changed by one; results in kFloat differ from those before only by rounding. The
  /// blocks' weights are released: the network can be neither saved nor loaded nor trained nor moved afterwards.
  void freeze(at::ScalarType type);

  /// Moves the constant tables too.
  void to(at::Device device, bool non_blocking = false) override;
  using torch::nn::Module::to;

  const VitStructure& structure() const { return structure_; }
  int depth() const { return structure_.depth; }
  int dim() const { return structure_.dim; }
  int heads() const { return structure_.heads; }
  int grid() const { return structure_.grid(); }

 private:
  void register_tokens();
  void register_outputs(bool random);
  /// Patches, tokens and positions: [N, tokens, dim], FP32.
  at::Tensor embed(const at::Tensor& x);
  /// The patch embedding: [N, patches, dim].
  at::Tensor embed_patches(const at::Tensor& x);
  at::Tensor patch_map(const at::Tensor& tokens, bool normalise) const;
  /// Pooling and head. `row`: VitPoolImpl's, or null.
  void finish(const at::Tensor& tokens, VitOutputs& outputs, at::Tensor* row);
  at::Tensor pool(const at::Tensor& tokens, at::Tensor* row);
  void check_taps(const VitTaps& taps) const;
  /// Whether the attention pool's row takes the place of a block's map.
  bool maps_pool(std::int64_t block) const;

  VitStructure structure_;
  VitPositionTables tables_;
  at::Tensor cls_token_, dist_token_, reg_token_, pos_embed_;
  Conv2dPtr proj_;
  Dense frozen_proj_{nullptr};  ///< the patch convolution as a linear layer; not registered
  ModuleListPtr blocks_;
  LayerNormPtr norm_pre_, norm_, fc_norm_;
  VitPool attn_pool_{nullptr};
  Dense head_{nullptr}, head_dist_{nullptr};
};
TORCH_MODULE(Vit);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_VIT_H_
