// Models and figures that several tests of models use.
#ifndef VITRINE_TESTS_MODELS_SAMPLES_H_
#define VITRINE_TESTS_MODELS_SAMPLES_H_

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"

namespace vitrine::testing {

inline VitOptions small_vit(int classes = 5) {
  return {"", 32, 8, 32, 2, 2, classes, 4};
}

inline Tensors copy_of(const torch::nn::Module& module) {
  Tensors copy;
  for (const auto& [name, tensor] : state_dict(module)) copy[name] = tensor.clone();
  return copy;
}

/// How far a is from b, relative to b's norm.
inline double distance(const at::Tensor& a, const at::Tensor& b) {
  const at::Tensor x = a.cpu().to(at::kDouble), y = b.cpu().to(at::kDouble);
  return ((x - y).norm() / y.norm()).item<double>();
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_MODELS_SAMPLES_H_
