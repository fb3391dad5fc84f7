// A ResNet only for inference: BatchNorm folded, ReLU and the residual addition fused into the convolutions, weights
// packed once.
#ifndef VITRINE_COMMON_MODELS_INFERENCE_FROZEN_RESNET_H_
#define VITRINE_COMMON_MODELS_INFERENCE_FROZEN_RESNET_H_

#include <ATen/ATen.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "common/models/inference/layers.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

/// The switches exist so that a benchmark can tell what each brings; the results are the same within rounding.
struct FrozenOptions {
  at::ScalarType type = at::kFloat;  ///< of weights and activations: kFloat, kBFloat16 or kHalf
  /// ReLU and addition inside the convolutions: oneDNN's on a CPU that has instructions for `type` (FP32: always),
  /// cuDNN's on a GPU. Elsewhere they stay separate.
  bool fuse = true;
  bool pack = true;  ///< weights in oneDNN's own layout; only on a CPU and with `fuse`
  /// The [N, height, width] that weights are packed for. Other shapes give the same results, but oneDNN may have to
  /// reorder weights at each call.
  std::array<std::int64_t, 3> shape = {1, 224, 224};
};

/// Whether the device has instructions for the type: FP32 always, FP16 and BF16 on a CPU with
/// AVX512_FP16 or AVX512_BF16 (or AMX's), FP16 on every GPU, BF16 on one of capability 8.0 or higher.
bool computes_natively(at::ScalarType type, at::Device device);

/// Immutable; any thread may call forward(), also several at once.
class FrozenResNet {
 public:
  /// `weights`: those of a ResNet of common/models/resnet.h (state_dict()), FP32 on any device; they are copied.
  /// Throws Error (kInput, without a path) for weights that are not finite.
  FrozenResNet(const Tensors& weights, at::Device device, const FrozenOptions& options = {});

  /// x: [N, 3, H, W] on the device, any floating-point type and memory format; channels-last of the own type avoids a
  /// copy. Returns logits, FP32 [N, classes]: those of the ResNet in evaluation mode, in FP32 within 1e-5 of their
  /// norm. Pooling and head are FP32 in every type. No gradients, no effect of an Autocast.
  at::Tensor forward(const at::Tensor& x) const;

  /// Whether ReLU and addition are fused here.
  bool fused() const { return fused_; }
  const FrozenOptions& options() const { return options_; }
  at::Device device() const { return device_; }

 private:
  struct Convolution {
    at::Tensor weight, bias;
    std::array<std::int64_t, 2> stride{}, padding{};
  };
  struct Block {
    std::vector<Convolution> path;
    std::optional<Convolution> shortcut;
  };
  /// `height` and `width`: of the input that weights are packed for; replaced by the output's.
  Convolution frozen(const Tensors& weights, const ConvolutionLayer& layer, std::int64_t& height,
                     std::int64_t& width) const;
  at::Tensor convolved(const at::Tensor& x, const Convolution& layer, bool relu) const;
  /// relu(convolved(x) + sum), where fused in the memory of `sum`.
  at::Tensor added(const at::Tensor& x, const Convolution& layer, at::Tensor sum) const;

  FrozenOptions options_;
  at::Device device_;
  bool fused_;
  Convolution stem_;
  std::vector<Block> blocks_;
  at::Tensor head_weight_, head_bias_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INFERENCE_FROZEN_RESNET_H_
