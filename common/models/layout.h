// Whose tensors a weight file holds, by their names: for messages, and for names behind a prefix.
#ifndef VITRINE_COMMON_MODELS_LAYOUT_H_
#define VITRINE_COMMON_MODELS_LAYOUT_H_

#include <string>

#include "common/models/safetensors.h"

namespace vitrine {

/// The prefix, full stop included ("module.", "model.backbone."), that all names of `tensors` share and without which
/// most names of `state` are among them; empty when there is none. Wrappers of models leave such: DataParallel's
/// "module.", Lightning's "model.", "backbone.", torch.compile's "_orig_mod.".
std::string wrapping_prefix(const Tensors& tensors, const Tensors& state);

/// The prefix behind which `tensors` has all names of `state`, beside others: a checkpoint of several networks. Empty
/// when there is none.
std::string part_prefix(const Tensors& tensors, const Tensors& state);

/// What a file with these tensors holds, for a sentence "it looks like ...": "a DINOv2 ViT (LayerScale tensors
/// blocks.0.ls1.gamma) of dim 384, depth 12, patch 14, no head". Guessed from names and shapes alone.
std::string describe_layout(const Tensors& tensors);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_LAYOUT_H_
