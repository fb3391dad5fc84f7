// The model that is trained, whichever kind it is.
#ifndef VITRINE_TRAIN_STUDENT_NETWORK_H_
#define VITRINE_TRAIN_STUDENT_NETWORK_H_

#include <torch/torch.h>

#include <string>
#include <vector>

#include "common/models/resnet.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/safetensors.h"
#include "train/student/model_options.h"

namespace vitrine {

struct NetworkOutputs {
  at::Tensor logits;               ///< [N, classes], FP32
  std::vector<at::Tensor> stages;  ///< a ResNet's layer1 to layer4, [N, C, H, W]; empty for a ViT
};

/// Shares its weights when copied.
class Network {
 public:
  /// Random weights from torch's CPU generator, or those of options.weights; says it (note) when the head was replaced
  /// or a prefix left out. `names`: of the classes, where they are known. Where options.weights knows its classes as
  /// well, their outputs are matched by name: the same names in another order are put in order, and of other names the
  /// head is replaced.
  Network(const ModelOptions& options, int classes, at::Device device, const std::vector<std::string>& names = {});

  NetworkOutputs forward(const at::Tensor& pictures);
  torch::nn::Module& module();
  /// Channels of each stage; empty for a ViT.
  std::vector<std::int64_t> widths();
  /// Training mode for the whole model, then, with `frozen_batch_norm`, evaluation mode for every BatchNorm.
  void train_mode(bool frozen_batch_norm);
  void eval_mode();
  /// Every BatchNorm, in the model's order; none in a ViT.
  std::vector<torch::nn::BatchNorm2d> batch_norms();

 private:
  ResNet resnet_{nullptr};
  Vit vit_{nullptr};
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_STUDENT_NETWORK_H_
