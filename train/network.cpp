#include <torch/torch.h>

#include "train/network.h"

#include "common/base/progress.h"
#include "common/models/load.h"

namespace vitrine {

Network::Network(const ModelOptions& options, int classes, at::Device device) {
  if (options.kind == "vit") {
    VitOptions sizes = options.vit;
    sizes.classes = classes;
    vit_ = Vit(resolve(sizes));
  } else {
    resnet_ = ResNet(options.arch, classes);
  }
  if (!options.weights.empty()) {
    const LoadReport report = load_weights(module(), load_safetensors(options.weights), options.weights, options.kind == "vit" ? "head" : "fc");
    if (report.head_replaced) note(report.note);
  }
  module().to(device);
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

void Network::train_mode(bool frozen_batch_norm) {
  module().train();
  if (!frozen_batch_norm) return;
  for (const auto& child : module().modules())
    if (child->as<torch::nn::BatchNorm2d>() != nullptr) child->eval();
}

void Network::eval_mode() { module().eval(); }

}  // namespace vitrine
