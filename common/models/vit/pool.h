// The attention pool of SigLIP (timm's AttentionPoolLatent).
#ifndef VITRINE_COMMON_MODELS_VIT_POOL_H_
#define VITRINE_COMMON_MODELS_VIT_POOL_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include "common/models/module_ptr.h"
#include "common/models/vit/dense.h"
#include "common/models/vit/structure.h"

namespace vitrine {

/// Cross-attention from one learned query: z = proj(attention(q(latent), kv(x))), then z + mlp(norm(z)).
class VitPoolImpl : public torch::nn::Module {
 public:
  VitPoolImpl(const VitStructure& structure, bool random);

  /// x: [N, tokens, dim]. Returns [N, dim]. `row`, if not null, receives the latent's softmax row over the patches,
  /// [N, pool_heads, patches].
  at::Tensor forward(const at::Tensor& x, at::Tensor* row) const;

 private:
  std::int64_t heads_, patches_, prefix_tokens_;
  bool sees_prefix_;
  VitActivation activation_;
  at::Tensor latent_;
  Dense q_{nullptr}, kv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
  LayerNormPtr norm_;
};
TORCH_MODULE(VitPool);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_POOL_H_
