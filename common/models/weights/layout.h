// Identifies the model of a weight file by its tensor names: for error messages, and to strip prefixes.
#ifndef VITRINE_COMMON_MODELS_WEIGHTS_LAYOUT_H_
#define VITRINE_COMMON_MODELS_WEIGHTS_LAYOUT_H_

#include <string>

#include "common/models/weights/safetensors.h"

namespace vitrine {

/// The prefix, including the dot ("module.", "model.backbone."), that all names of `tensors` share and without which
/// most names of `state` are found; empty if there is none. Model wrappers add such prefixes: DataParallel "module.",
/// Lightning "model.", "backbone.", torch.compile "_orig_mod.".
std::string wrapping_prefix(const Tensors& tensors, const Tensors& state);

/// The prefix under which `tensors` contains all names of `state`, besides other tensors: a checkpoint of several
/// networks. Empty if there is none.
std::string part_prefix(const Tensors& tensors, const Tensors& state);

/// Describes a file with these tensors, to complete "it looks like ...": "a DINOv2 ViT (LayerScale tensors
/// blocks.0.ls1.gamma) of dim 384, depth 12, patch 14, no head". A guess from names and shapes.
std::string describe_layout(const Tensors& tensors);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_WEIGHTS_LAYOUT_H_
