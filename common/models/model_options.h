// The model to train: the keys of [model].
#ifndef VITRINE_COMMON_MODELS_MODEL_OPTIONS_H_
#define VITRINE_COMMON_MODELS_MODEL_OPTIONS_H_

#include <cstdint>
#include <string>

#include "common/config/fields.h"
#include "common/models/vit/vit.h"

namespace vitrine {

struct ModelOptions {
  std::string kind = "resnet";  ///< "resnet" or "vit"
  std::string arch = "resnet18";
  std::uint32_t width = 64;  ///< of a ResNet: channels of its first stage
  VitOptions vit;            ///< for "vit"
  std::string weights;       ///< to start from, anything that read_weights() reads; empty: random

  void fields(Fields& f);
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_MODEL_OPTIONS_H_
