// The trained model: a ResNet or a ViT behind one interface.
#ifndef VITRINE_TRAIN_STUDENT_NETWORK_H_
#define VITRINE_TRAIN_STUDENT_NETWORK_H_

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <string>
#include <vector>

#include "common/models/module_ptr.h"
#include "common/models/resnet.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/safetensors.h"
#include "common/models/model_options.h"

namespace vitrine {

struct NetworkOutputs {
  at::Tensor logits;               ///< [N, classes], FP32
  std::vector<at::Tensor> stages;  ///< a ResNet's layer1 to layer4, [N, C, H, W]; empty for a ViT
};

/// Copies share their weights.
class Network {
 public:
  /// Random weights from torch's CPU generator, or those of options.weights, with a note when the head was replaced or
  /// a prefix stripped. `names`: of the classes, if known. If options.weights also names its classes, outputs are
  /// matched by name: a permutation is undone; with different names the head is replaced.
  Network(const ModelOptions& options, int classes, at::Device device, const std::vector<std::string>& names = {});

  NetworkOutputs forward(const at::Tensor& pictures);
  torch::nn::Module& module();
  /// Null for a ViT. Shares its weights with the network.
  ResNet* resnet() { return resnet_ ? &resnet_ : nullptr; }
  /// Channels of each stage; empty for a ViT.
  std::vector<std::int64_t> widths();
  /// Training mode; with `frozen_batch_norm`, every BatchNorm stays in evaluation mode.
  void train_mode(bool frozen_batch_norm);
  void eval_mode();
  /// Every BatchNorm, in the model's order; none in a ViT.
  std::vector<BatchNorm2dPtr> batch_norms();

 private:
  ResNet resnet_{nullptr};
  Vit vit_{nullptr};
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_STUDENT_NETWORK_H_
