// Gives the tensors of a ViT timm's names, whatever project saved them.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_NAMES_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_NAMES_H_

#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"

namespace vitrine {

struct NamedTensors {
  Tensors tensors;     ///< contiguous, in their own memory, with timm's names
  std::string naming;  ///< whose names the file has ("timm", "transformers' CLIP"); empty if it holds no known ViT
};

/// Finds the ViT in a file by the names of its tensors (naming_tables.h), strips the prefix that they share, and
/// renames, reshapes, joins and splits them as timm has them: separate queries, keys and values become attn.qkv where
/// timm joins them. Tensors outside the model (a text tower, a projection head of self-supervised training, a decoder)
/// are dropped. The values stay as they are, but F64 becomes F32, and DINOv2's class token gets its position added
/// where there are registers. The shapes of position embeddings are not changed otherwise. A file without a known ViT
/// keeps all its tensors and names.
///
/// Of several such models under different prefixes the first that is there is taken: teacher, target_encoder, ema,
/// model_ema, base_encoder, vision_model, vision, visual, backbone, encoder, any other or none, student,
/// momentum_encoder; two of equal rank are an error.
///
/// `notes` gets a full sentence that begins with `where` for each of: the naming, the prefix, what was dropped and what
/// was converted. Throws Error, kInput, beginning with `where`: a tensor that is needed but unusable, a tensor that a
/// foreign naming does not know, a block without its query, key or value, a shape that cannot be timm's.
NamedTensors with_timm_names(const StoredTensors& file, const std::string& where, std::vector<std::string>& notes);

/// The first three, for messages: "\"a\", \"b\", \"c\" ...".
std::string listed_names(const std::vector<std::string>& names);

/// Renames the norm before the pooling to the one after it: "norm.weight" becomes "fc_norm.weight".
void move_norm_after_pooling(Tensors& tensors);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_NAMES_H_
