// Tensors of a weight file that a ViT has no place for.
#ifndef VITRINE_COMMON_MODELS_VIT_UNUSED_H_
#define VITRINE_COMMON_MODELS_VIT_UNUSED_H_

#include <string>
#include <vector>

#include "common/models/vit/vit.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

/// Removes tensors that the ViT does not have and that cannot change its outputs: those that are not floating-point
/// (masks, indexes, counters) and those of modules that it lacks (a loss's state, a projection for training). Their
/// names are added to `notes`. Throws Error, kInput, beginning with `where`, for a floating-point tensor within one of
/// the ViT's own modules (blocks, patch_embed, head, ...), of a module that ViTs of other kinds compute with, or
/// outside all modules and as wide as the tokens (prompts, scales), except a mask's token: its network is another one.
/// `weights` have timm's names.
void drop_unused(const Vit& vit, const std::string& where, Tensors& weights, std::vector<std::string>& notes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_UNUSED_H_
