// Learned, per-image weights that say which of the teacher's blocks each of the student's stages learns from, instead
// of fixed pairs (semantic calibration, SemCKD: Chen et al. 2021, section 3.2).
//
// For stage s and block t: query q_s = W_s·ŝ, key k_t = V_t·t̂, both of length d, with ŝ and t̂ the maps' means over
// positions, standardised over the vector; α_{s,·} = softmax over blocks of q_s·k_t/√d. The loss of an image is mean_s
// Σ_t α_{s,t}·‖P_{s,t}(F_s) − F_t‖²/size, P a 1×1 convolution to the teacher's channels, both maps on the smaller grid
// by adaptive average pooling. (SemCKD computes queries and keys from similarities within the batch; pooled maps make
// an image's weights independent of the rest of the batch.) Targets are fixed, so that the two sides cannot collapse.
#ifndef VITRINE_TRAIN_MATCHING_ADAPTIVE_MAPPING_H_
#define VITRINE_TRAIN_MATCHING_ADAPTIVE_MAPPING_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <cstdint>
#include <vector>

#include "common/models/module_ptr.h"

namespace vitrine {

struct MappedLoss {
  at::Tensor loss;     ///< []: mean over images
  at::Tensor weights;  ///< [stages, blocks], detached: the mean of α over images; each row sums to 1
};

class AdaptiveMappingImpl : public torch::nn::Module {
 public:
  static constexpr std::int64_t kLength = 64;  // d

  /// `stages`, `blocks`: channels of the student's stages and of the teacher's blocks; std::logic_error when either is
  /// empty. Initialised from torch's default generator.
  AdaptiveMappingImpl(const std::vector<std::int64_t>& stages, const std::vector<std::int64_t>& blocks);

  /// stages[s]: [N, C_s, H, W]; blocks[t]: [N, C_t, h, w]. Computes in FP32 whatever the inputs' type (double stays
  /// double). Gradients reach the student and this module, never the teacher. Throws Error for another number of maps
  /// or channels.
  MappedLoss forward(const std::vector<at::Tensor>& stages, const std::vector<at::Tensor>& blocks);

 private:
  std::vector<std::int64_t> stages_, blocks_;
  std::vector<LinearPtr> queries_, keys_;
  std::vector<std::vector<ConvolutionPtr>> projections_;  // [stage][block]
};
TORCH_MODULE(AdaptiveMapping);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_ADAPTIVE_MAPPING_H_
