// Vision Transformer (Dosovitskiy et al., arXiv:2010.11929) with timm's structure and parameter names, so that timm's
// weights load unchanged: class token, learned position embedding, pre-norm blocks, head on the class token.
#ifndef VITRINE_COMMON_MODELS_VIT_VIT_H_
#define VITRINE_COMMON_MODELS_VIT_VIT_H_

#include <torch/torch.h>

#include <string>
#include <vector>

#include "common/config/fields.h"

namespace vitrine {

struct VitOptions {
  /// vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE, or "" if all dimensions below are given
  std::string arch = "vit_tiny_patch16_224";
  /// 0: from `arch`; any other value overrides `arch`
  int image_size = 0, patch = 0, dim = 0, depth = 0, heads = 0;
  int classes = 1000;
  int mlp_ratio = 4;
  void fields(Fields& f);
};

/// The options with every dimension filled in from `arch`. Throws Error if the name is unknown, a dimension is missing,
/// patch does not divide image_size, or heads does not divide dim.
VitOptions resolve(VitOptions options);

/// Intermediate outputs to return. Blocks are numbered from 0; outputs have the order of the list.
struct VitTaps {
  std::vector<int64_t> features, attentions;
  /// Apply a LayerNorm without affine (eps 1e-6) to feature taps.
  bool normalise = true;
};

struct VitOutputs {
  /// [N, classes], FP32.
  at::Tensor logits;
  /// [N, dim, grid, grid], FP32, contiguous: a block's output without the class token.
  std::vector<at::Tensor> features;
  /// [N, heads, grid, grid], FP32: the class token's row of the softmax, without its own column.
  std::vector<at::Tensor> attentions;
};

class VitImpl : public torch::nn::Module {
 public:
  /// Initialised as in timm, from the default CPU generator; seed it with torch::manual_seed.
  explicit VitImpl(const VitOptions& options);

  /// x: [N, 3, image_size, image_size], FP32. Computed in FP32, or in 16 bits inside an Autocast; the final norm and
  /// the head are always FP32. Throws Error for a tap of a block that does not exist and for another image size.
  VitOutputs forward(at::Tensor x, const VitTaps& taps = {});

  const VitOptions& options() const { return options_; }
  int depth() const { return options_.depth; }
  int dim() const { return options_.dim; }
  int heads() const { return options_.heads; }
  int grid() const { return options_.image_size / options_.patch; }

 private:
  VitOptions options_;
  at::Tensor cls_token_, pos_embed_;
  torch::nn::Conv2d proj_{nullptr};
  torch::nn::ModuleList blocks_{nullptr};
  torch::nn::LayerNorm norm_{nullptr};
  torch::nn::Linear head_{nullptr};
};
TORCH_MODULE(Vit);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_VIT_H_
