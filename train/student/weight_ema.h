// An exponential moving average of a model's weights, evaluated and saved instead of the weights themselves (Polyak &
// Juditsky 1992; with the decay of timm's and TensorFlow's EMA).
#ifndef VITRINE_TRAIN_STUDENT_WEIGHT_EMA_H_
#define VITRINE_TRAIN_STUDENT_WEIGHT_EMA_H_

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

struct EmaOptions {
  double decay = 0;  // 0: no average
  /// Use the decay min(decay, (1 + n) / (10 + n)) after n updates, so that the initial weights are soon forgotten.
  bool warm_up = true;

  void fields(Fields& f);
};

class WeightEma {
 public:
  /// Starts from the module's current weights, on their devices.
  WeightEma(const EmaOptions& options, const torch::nn::Module& module);

  /// average ← d·average + (1 − d)·weights, for parameters and floating buffers (BatchNorm's statistics); other buffers
  /// are copied.
  void update();
  /// Exchanges the module's tensors with the averages; a second call puts them back.
  void swap();

  /// By the module's names, and "updates". Do not call while swapped.
  Tensors state() const;
  /// Throws Error that names `where` (a file) when a tensor is missing, unexpected or misshapen.
  void load(const Tensors& state, const std::string& where);

 private:
  EmaOptions options_;
  std::vector<std::string> names_;
  std::vector<at::Tensor> own_, average_;  // parallel; own_ shares memory with the module
  std::vector<at::Tensor> own_floating_, average_floating_;
  std::int64_t updates_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_STUDENT_WEIGHT_EMA_H_
