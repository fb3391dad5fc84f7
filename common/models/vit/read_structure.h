// The structure of a ViT from its weight file: from the tensors' names and shapes, timm's name of the architecture, and
// what a user or a config.json says.
#ifndef VITRINE_COMMON_MODELS_VIT_READ_STRUCTURE_H_
#define VITRINE_COMMON_MODELS_VIT_READ_STRUCTURE_H_

#include <optional>
#include <string>
#include <vector>

#include "common/models/weights/safetensors.h"
#include "common/models/vit/structure.h"

namespace vitrine {

/// Empty and 0: not known.
struct VitHints {
  std::string arch;                          ///< timm's name, with or without the weights' tag
  std::string arch_source = "teacher.arch";  ///< what says `arch`, for messages
  int dim = 0, depth = 0;                    ///< what that source says beside the name, in place of the name's sizes
  /// Another value than the weights' resamples them (resample.h).
  int image_size = 0, patch = 0;
  int heads = 0;
  std::string activation;       ///< of every MLP: "gelu", "gelu_tanh", "quick_gelu" or "silu"
  std::string card_activation;  ///< the same as a card says it, of all but a gated MLP in one layer, which has SiLU
  /// "class" or "mean", which count where the network has a class token and no attention pool; or "attention".
  std::string pooling;
  std::string naming;                      ///< whose names the weights had (WeightFiles::naming)
  std::optional<bool> norm_after_pooling;  ///< of weights with OpenCLIP's names, which call both norms alike
  double eps = 0;                          ///< of all LayerNorms; 0: the family's
};

struct VitReading {
  VitStructure structure;
  /// What neither the weights nor the hints determine: "activation gelu", "heads 12 (dim 768 / 64)".
  std::vector<std::string> assumed;
  /// Sentences for the user: an architecture that is not known, and hints that the weights or its name contradict.
  std::vector<std::string> notes;
};

/// `weights`: timm's names, without a prefix; only names and shapes are read, so the tensors may be meta tensors.
/// Throws Error, kInput, beginning with `where` and saying what the file looks like (layout.h), for the weights of
/// another architecture than hints.arch (they must fit its sizes or hints.dim and hints.depth) or of another kind of
/// model, a missing final norm, heads that do not divide the width, a size that the patch does not divide, another word
/// in hints.pooling, and "attention" there without an attention pool. Other tensors are left to load_weights().
VitReading structure_of(const Tensors& weights, const VitHints& hints, const std::string& where);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_READ_STRUCTURE_H_
