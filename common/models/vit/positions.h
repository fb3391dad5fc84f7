// Position information that attention needs: rotary angles and the index of relative position biases.
#ifndef VITRINE_COMMON_MODELS_VIT_POSITIONS_H_
#define VITRINE_COMMON_MODELS_VIT_POSITIONS_H_

#include <ATen/core/Tensor.h>

#include "common/models/vit/structure.h"

namespace vitrine {

/// Constants of a structure, shared by its blocks. Undefined tensors where the structure has no such positions.
struct VitPositionTables {
  at::Tensor sin, cos;        ///< FP32 [patches, head_dim]
  at::Tensor relative_index;  ///< int64 [tokens · tokens]: rows of a relative_position_bias_table
  int prefix_tokens = 0;      ///< not rotated
  bool half = false;          ///< VitStructure::rope_half
};

/// On the CPU.
VitPositionTables position_tables(const VitStructure& structure);

/// x: [N, heads, tokens, head_dim]. Rotates the patch tokens in FP32 (RoFormer, Su et al., arXiv:2104.09864) and
/// returns x's type; x itself if there is no rotary embedding.
at::Tensor rotate(const at::Tensor& x, const VitPositionTables& tables);

/// Rows of a relative position bias table (BEiT) for a grid of that side: (2 · side - 1)² offsets, and three rows for
/// class token to patch, patch to class token, and class token to itself.
constexpr std::int64_t relative_table_rows(std::int64_t side) {
  return (2 * side - 1) * (2 * side - 1) + 3;
}

/// table: [rows, heads]. Returns [1, heads, tokens, tokens], to be added to the attention scores.
at::Tensor relative_bias(const at::Tensor& table, const VitPositionTables& tables);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_VIT_POSITIONS_H_
