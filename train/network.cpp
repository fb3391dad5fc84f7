#include "train/network.h"

#include <torch/torch.h>

#include "common/base/progress.h"
#include "common/models/load.h"
#include "common/models/torch_errors.h"

namespace vitrine {

Network::Network(const ModelOptions& options, int classes, at::Device device) {
  if (options.kind == "vit") {
    VitOptions sizes = options.vit;
    sizes.classes = classes;
    vit_ = Vit(resolve(sizes));
  } else {
    resnet_ = ResNet(options.arch, classes, static_cast<int>(options.width));
  }
  if (!options.weights.empty()) {
    const LoadReport report = load_weights(module(), load_safetensors(options.weights), options.weights,
                                           options.kind == "vit" ? "head" : "fc");
    if (!report.note.empty()) note(report.note);
  }
  with_torch_errors({"loading the model", "free the GPU of other programs, or choose a smaller model.arch", ""},
                    [&] { module().to(device); });
  const torch::NoGradGuard no_grad;
  for (at::Tensor& parameter : module().parameters())
    if (parameter.dim() == 4) parameter.set_data(parameter.contiguous(at::MemoryFormat::ChannelsLast));
}

torch::nn::Module& Network::module() {
  if (resnet_) return *resnet_;
  return *vit_;
}

NetworkOutputs Network::forward(const at::Tensor& pictures) {
  if (resnet_) {
    ResNetImpl::Outputs out = resnet_->forward(pictures);
    return {out.logits, std::move(out.stages)};
  }
  return {vit_->forward(pictures).logits, {}};
}

std::vector<std::int64_t> Network::widths() {
  if (!resnet_) return {};
  const auto widths = resnet_->widths();
  return {widths.begin(), widths.end()};
}

std::vector<torch::nn::BatchNorm2d> Network::batch_norms() {
  std::vector<torch::nn::BatchNorm2d> out;
  for (const auto& child : module().modules())
    if (auto norm = std::dynamic_pointer_cast<torch::nn::BatchNorm2dImpl>(child)) out.emplace_back(std::move(norm));
  return out;
}

void Network::train_mode(bool frozen_batch_norm) {
  module().train();
  if (!frozen_batch_norm) return;
  for (torch::nn::BatchNorm2d& norm : batch_norms()) norm->eval();
}

void Network::eval_mode() {
  module().eval();
}

}  // namespace vitrine
