// How projects other than timm name the tensors of a ViT.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_NAMING_TABLES_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_NAMING_TABLES_H_

#include <array>
#include <cstdint>
#include <span>

namespace vitrine {

/// What else happens to a tensor that gets timm's name.
enum class Change : std::uint8_t {
  kNone,
  kDrop,        ///< not needed for inference
  kToken,       ///< [dim] to [1, 1, dim]
  kPositions,   ///< [tokens, dim] to [1, tokens, dim]
  kPatches,     ///< a linear layer over patches with channels last, [dim, p*p*3], to a convolution [dim, 3, p, p]
  kTransposed,  ///< [dim, out] to a linear layer's [out, dim], with a bias of zeros
  kProjection,  ///< a linear layer without bias gets a bias of zeros
  kHead,        ///< dropped if its width is not the model's: it takes more than one token
  kOtherHead,   ///< dropped: it takes what timm's models do not give
  kQuery,       ///< to become the first third of attn.qkv, or attn.q_bias
  kKey,         ///< the second third; has no bias in some models
  kValue,       ///< the last third, or attn.v_bias
  kSplitBias,   ///< qkv's bias to q_bias and v_bias; the keys' is zero
  kPool         ///< a packed query, key and value to attn_pool.q and attn_pool.kv
};

/// A module or tensor. `theirs` is its whole name, or the beginning up to a dot; what follows is kept.
struct Rename {
  const char* theirs;
  const char* ours;
  Change change = Change::kNone;
};

struct Naming {
  const char* source;  ///< "transformers' ViT or DeiT"
  /// A tensor that every model has; what precedes it in a file is the prefix of the model's names.
  const char* anchor;
  /// What names behind the prefix begin with, each for at least one; null: no condition.
  std::array<const char*, 3> signs;
  const char* blocks;               ///< what precedes a block's number: "encoder.layer."
  std::span<const Rename> block;    ///< behind the number and a dot
  std::span<const Rename> outside;  ///< outside the blocks
  std::span<const Rename> beside;   ///< outside the prefix, behind the prefix without its last part
  bool strict;                      ///< names in no table are an error; otherwise they are kept, as timm's
  const char* without;              ///< what none begins with; "" is never one
  bool fold_class_position;         ///< the first of the positions is the class token's, and goes into it
};

/// The source of Google's own ViTs, whose preprocessing is always the same.
inline constexpr const char* kGoogleVit = "Google's ViT";

/// The source of OpenAI's and OpenCLIP's ViTs, whose LayerNorms all have the same eps.
inline constexpr const char* kOpenClip = "OpenAI CLIP or OpenCLIP";

/// In the order in which they are to be tried; timm's own is the last.
std::span<const Naming> namings();

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_NAMING_TABLES_H_
