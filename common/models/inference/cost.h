// What a network costs, counted from its structure.
#ifndef VITRINE_COMMON_MODELS_INFERENCE_COST_H_
#define VITRINE_COMMON_MODELS_INFERENCE_COST_H_

#include <cstdint>

#include "common/models/resnet.h"
#include "common/models/vit/structure.h"

namespace vitrine {

struct NetworkCost {
  std::uint64_t parameters = 0;     ///< learned numbers: without BatchNorm's running statistics
  std::uint64_t multiply_adds = 0;  ///< of convolutions and matrix products, for one picture
};

/// Of a picture of height × width pixels.
NetworkCost cost_of(const ResNet& network, std::int64_t height, std::int64_t width);

/// Multiply-adds of a ViT at its image size: the products of queries with keys and of weights with values count, an
/// attention pool does not.
std::uint64_t multiply_adds_of(const VitStructure& structure);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INFERENCE_COST_H_
