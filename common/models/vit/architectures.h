// What timm's names of architectures tell beyond a weight file.
#ifndef VITRINE_COMMON_MODELS_VIT_ARCHITECTURES_H_
#define VITRINE_COMMON_MODELS_VIT_ARCHITECTURES_H_

#include <optional>
#include <string>

#include "common/models/vit/structure.h"

namespace vitrine {

struct VitArchitecture {
  std::string name;  ///< without the weights' tag
  int dim = 0, depth = 0, heads = 0;
  VitActivation activation = VitActivation::kGelu;  ///< of a plain MLP
  bool no_final_norm = false;                       ///< neither norm nor fc_norm
  bool mean_of_patches = false;                     ///< without a final norm: pools the patches, not the class token
  bool axial_rope = false;  ///< RoPE-ViT (Heo et al., arXiv:2403.13298), with or without pos_embed
  int rope_reference_grid = 0;
};

/// `name`: timm's, with or without the weights' tag ("vit_base_patch16_224.augreg_in21k"). nullopt for a name without a
/// known size. Throws Error that begins with `where` for an architecture whose network is not a VitStructure.
std::optional<VitArchitecture> find_architecture(const std::string& name, const std::string& where);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_ARCHITECTURES_H_
