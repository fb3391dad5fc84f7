// What a teacher computes, whatever it is made of: a ViT that Vitrine builds from weights (vit_network.h) or a module
// exported from PyTorch (module_network.h).
#ifndef VITRINE_COMMON_TEACHER_NETWORK_H_
#define VITRINE_COMMON_TEACHER_NETWORK_H_

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "common/cache/provenance.h"

namespace vitrine {

/// Shape of a block's outputs.
struct BlockShape {
  std::uint32_t channels = 0, height = 0, width = 0;  ///< features; 0: the block has none
  /// Attention: one map per head over the same positions unless the block says otherwise. 0 heads: none.
  std::uint32_t heads = 0, attention_height = 0, attention_width = 0;

  bool operator==(const BlockShape&) const = default;
};

struct NetworkShape {
  std::uint32_t image_size = 0;  ///< side of the square input in pixels
  std::uint32_t classes = 0;     ///< 0: no head
  std::uint32_t embedding = 0;   ///< values of the pooled feature before the head; 0: none
  std::vector<BlockShape> blocks;

  std::int64_t depth() const { return static_cast<std::int64_t>(blocks.size()); }
};

/// Intermediate outputs to return. Blocks are numbered from 0; outputs have the order of the list.
struct TeacherTaps {
  std::vector<std::int64_t> features, attentions;
  /// Apply a LayerNorm without affine (eps 1e-6) over the channels of feature taps.
  bool normalise = true;
  /// Attention taps are rollouts, one map each, of networks with has_rollout().
  bool rollout = false;
};

/// All FP32, on the network's device.
struct TeacherOutputs {
  at::Tensor logits;                   ///< [N, classes]; undefined without a head
  at::Tensor embedding;                ///< [N, embedding]; undefined without one
  std::vector<at::Tensor> features;    ///< [N, channels, height, width], contiguous
  std::vector<at::Tensor> attentions;  ///< [N, heads, height, width], contiguous; each row sums to at most 1
};

/// Immutable after construction. On a CPU calls run in parallel; on a GPU the caller serialises them.
class TeacherNetwork {
 public:
  virtual ~TeacherNetwork() = default;

  virtual const NetworkShape& shape() const = 0;
  /// What rebuilds the network from its weights.
  virtual ArchitectureRecord record() const = 0;
  /// About how many bytes a forward of `views` views takes in addition to the weights.
  virtual double forward_bytes(std::uint32_t views) const = 0;
  /// Whether it computes attention rollouts (common/models/vit/rollout.h).
  virtual bool has_rollout() const { return false; }
  /// x: FP32 [N, 3, image_size, image_size], normalised, on the network's device. Throws Error for a tap of a block
  /// that does not exist or lacks that output, and lets LibTorch's exceptions through (with_torch_errors()).
  virtual TeacherOutputs forward(const at::Tensor& x, const TeacherTaps& taps) const = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_NETWORK_H_
