// What determines a ViT's network, as plain data: enough to rebuild it from its weights alone. Independent of LibTorch.
#ifndef VITRINE_COMMON_MODELS_VIT_STRUCTURE_H_
#define VITRINE_COMMON_MODELS_VIT_STRUCTURE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "common/config/fields.h"

namespace vitrine {

enum class VitActivation { kGelu, kGeluTanh, kQuickGelu, kSilu };
enum class VitMlp {
  kPlain,         ///< fc2(act(fc1(x)))
  kSwigluPacked,  ///< fc1 computes gate and value in one product: fc2(act(gate) · value)
  kSwigluSplit,   ///< the same with two layers, fc1_g and fc1_x
};
enum class VitPositions {
  kNone,
  kAllTokens,  ///< pos_embed has rows for the prefix tokens too
  kPatches,    ///< pos_embed has rows for the patches only
};
enum class VitRope {
  kNone,
  kCat,     ///< EVA-02 (Fang et al., arXiv:2303.11331): bands T^(-i / (head_dim / 4)), grid coordinates
  kDinov3,  ///< DINOv3 (arXiv:2508.10104): periods T^(2i / (head_dim / 2)), coordinates in [-1, 1]
};
enum class VitLayerScale {
  kNone,
  kLs,     ///< ls1.gamma, ls2.gamma
  kGamma,  ///< gamma_1, gamma_2
};
enum class VitQkv {
  kFused,        ///< qkv.weight, and qkv.bias if there are biases
  kFusedQvBias,  ///< qkv.weight, q_bias and v_bias
  kSplit,        ///< q_proj, k_proj, v_proj
};
enum class VitPooling {
  kClass,
  kClassAndDistilled,  ///< two heads, whose outputs are averaged; DeiT (Touvron et al., arXiv:2012.12877)
  kMean,               ///< of the patch tokens
  kAttention,          ///< a learned query attends to the tokens; SigLIP (Zhai et al., arXiv:2303.15343)
};

/// Names in the comments are timm's. The defaults are those of the plain ViT, which has no sizes yet.
struct VitStructure {
  std::string arch;  ///< timm's name of the architecture; may be empty. For messages only
  int image_size = 0, patch = 0, dim = 0, depth = 0, heads = 0;
  int head_dim = 0;  ///< the attention's width is heads · head_dim
  int classes = 0;   ///< outputs of `head`; 0: no head

  bool class_token = true, distillation_token = false;
  int registers = 0;  ///< rows of reg_token, between the class token and the patches
  VitPositions positions = VitPositions::kAllTokens;
  bool relative_positions = false;  ///< a relative_position_bias_table in each block, for a class token and patches
  VitRope rope = VitRope::kNone;    ///< on the patch tokens only
  double rope_temperature = 0;
  int rope_reference_grid = 0;  ///< kCat: positions are scaled from the grid to this side; 0: not scaled
  double rope_offset = 0;       ///< kCat: added to positions
  bool rope_xy = false;         ///< kCat: the column's angles come first
  bool rope_half = false;       ///< rotates the two halves of a head; false: neighbouring pairs

  VitQkv qkv = VitQkv::kFused;
  bool qkv_bias = true;         ///< kFused: of q, k and v; kFusedQvBias and kSplit: of q and v
  bool attention_norm = false;  ///< attn.norm, before attn.proj
  VitMlp mlp = VitMlp::kPlain;
  int mlp_hidden = 0;  ///< the input width of mlp.fc2
  VitActivation activation = VitActivation::kGelu;
  bool mlp_norm = false;  ///< mlp.norm, before mlp.fc2
  VitLayerScale layer_scale = VitLayerScale::kNone;

  bool patch_bias = true;
  bool norm_pre = false;              ///< before the blocks
  bool norm = true, fc_norm = false;  ///< after the blocks, before and after the pooling
  double eps = 1e-6;                  ///< of all LayerNorms
  VitPooling pooling = VitPooling::kClass;
  int pool_heads = 0, pool_hidden = 0;  ///< kAttention: heads and the width of the pool's MLP
  bool pool_prefix = false;             ///< kAttention: the query sees the prefix tokens too
  bool head_bias = true;

  int grid() const { return image_size / patch; }
  int patches() const { return grid() * grid(); }
  /// Class, distillation and register tokens, which come before the patches.
  int prefix_tokens() const { return (class_token ? 1 : 0) + (distillation_token ? 1 : 0) + registers; }
  int tokens() const { return prefix_tokens() + patches(); }

  /// The list of the fields, for JSON.
  void fields(Fields& f);
  /// Throws Error, kInput, beginning with `where`, for fields that are out of range or contradict each other.
  void check(const std::string& where) const;

  bool operator==(const VitStructure&) const = default;
};

/// An object with a key per field.
nlohmann::ordered_json to_json(const VitStructure& structure);

/// Throws Error, beginning with `where`: kNewer for an unknown key or word, kCorrupt for a missing key, a wrong type
/// and for what check() rejects.
VitStructure vit_structure_from_json(const nlohmann::ordered_json& json, const std::string& where);

/// The word of an activation: "gelu", "gelu_tanh", "quick_gelu" or "silu".
const char* activation_name(VitActivation activation);
/// Throws Error that names `key` for another word.
VitActivation activation_from_name(const std::string& word, const std::string& key);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_STRUCTURE_H_
