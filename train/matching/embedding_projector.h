// Brings a student's pooled feature to the teacher's embedding, so that a student learns from teachers without a head
// (and from a vision-language model's image tower) what a whole image is.
#ifndef VITRINE_TRAIN_MATCHING_EMBEDDING_PROJECTOR_H_
#define VITRINE_TRAIN_MATCHING_EMBEDDING_PROJECTOR_H_

#include <torch/nn/module.h>
#include <torch/nn/pimpl.h>
#include <ATen/ATen.h>

#include <cstdint>

#include "common/models/module_ptr.h"

namespace vitrine {

/// A linear layer on the mean of the last stage over its positions; serves training only.
class EmbeddingProjectorImpl : public torch::nn::Module {
 public:
  /// `width`: channels of the student's last stage; `embedding`: values of the teacher's. Weights from torch's default
  /// generator.
  EmbeddingProjectorImpl(std::int64_t width, std::int64_t embedding);

  /// stage: [N, width, H, W], target: [N, embedding]. Returns the mean over images of 1 - cos(projected, target), a
  /// scalar in [0, 2], in FP32; no gradient to the target.
  at::Tensor forward(const at::Tensor& stage, const at::Tensor& target);

 private:
  LinearPtr layer_;
};
TORCH_MODULE(EmbeddingProjector);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_EMBEDDING_PROJECTOR_H_
