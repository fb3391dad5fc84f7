// The options of a plain ViT: a student, or a ViT without weights.
#ifndef VITRINE_COMMON_MODELS_VIT_OPTIONS_H_
#define VITRINE_COMMON_MODELS_VIT_OPTIONS_H_

#include <string>

#include "common/config/fields.h"
#include "common/models/vit/structure.h"

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

/// The plain ViT (class token, learned positions, head on the class token) of these options; same errors as resolve().
VitStructure structure_of(const VitOptions& options);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_OPTIONS_H_
