#include "common/eval/grad_cam.h"

#include <torch/autograd.h>
#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include "common/base/error.h"

namespace vitrine {
namespace {

/// RAII: evaluation mode, then the mode from before.
class EvaluationMode {
 public:
  explicit EvaluationMode(torch::nn::Module& module) : module_(module), training_(module.is_training()) {
    module_.eval();
  }
  ~EvaluationMode() { module_.train(training_); }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

 private:
  torch::nn::Module& module_;
  bool training_;
};

}  // namespace

at::Tensor grad_cam(ResNet& model, const at::Tensor& pictures, const at::Tensor& classes) {
  if (pictures.dim() != 4 || pictures.size(1) != 3 || pictures.scalar_type() != at::kFloat)
    fail("Grad-CAM takes pictures of shape [N, 3, H, W] in FP32, not ", pictures.sizes(), " in ", pictures.dtype());
  if (classes.dim() != 1 || classes.size(0) != pictures.size(0) || classes.scalar_type() != at::kLong)
    fail("Grad-CAM takes one class per picture, int64 [", pictures.size(0), "], not ", classes.sizes(), " in ",
         classes.dtype());
  if (pictures.size(0) == 0) return at::empty({0, 0, 0}, pictures.options());
  const EvaluationMode evaluating(*model);
  const at::AutoGradMode with_gradients(true);
  // With an input that requires a gradient the last stage has one, even if all weights are frozen.
  const ResNetImpl::Outputs outputs = model->forward(pictures.detach().requires_grad_());
  const std::int64_t count = outputs.logits.size(1);
  if (classes.lt(0).logical_or(classes.ge(count)).any().item<bool>())
    fail("Grad-CAM takes classes in [0, ", count, "), not ", classes.min().item<std::int64_t>(), " to ",
         classes.max().item<std::int64_t>());
  const at::Tensor& stage = outputs.stages.back();
  const at::Tensor score = outputs.logits.gather(1, classes.to(outputs.logits.device()).unsqueeze(1)).sum();
  const at::NoGradGuard no_more_gradients;
  const at::Tensor gradient = torch::autograd::grad({score}, {stage})[0].to(at::kFloat);
  const at::Tensor map = (gradient.mean({2, 3}, true) * stage.detach().to(at::kFloat)).sum(1).relu();
  const at::Tensor largest = map.amax({1, 2}, true);
  return map / at::where(largest > 0, largest, at::ones_like(largest));
}

}  // namespace vitrine
