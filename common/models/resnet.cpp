#include "common/models/resnet.h"

#include <torch/nn/init.h>
#include <torch/nn/module.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <ATen/ATen.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/models/convolution.h"
#include "common/models/head.h"
#include "common/models/resnet_archs.h"

namespace vitrine {
namespace {

constexpr int kExpansion = 4;  // for bottlenecks

Convolution convolution(int in, int out, int kernel, int stride) {
  Convolution layer(torch::nn::Conv2dOptions(in, out, kernel).stride(stride).padding(kernel / 2).bias(false));
  torch::nn::init::kaiming_normal_(layer->weight, 0, torch::kFanOut, torch::kReLU);
  return layer;
}

/// torchvision's BasicBlock (3x3, 3x3) or Bottleneck (1x1, 3x3 with stride, 1x1).
class ResidualImpl : public torch::nn::Module {
 public:
  ResidualImpl(int in, int width, int stride, bool bottleneck) {
    const int out = bottleneck ? width * kExpansion : width;
    if (bottleneck) {
      add(convolution(in, width, 1, 1), width);
      add(convolution(width, width, 3, stride), width);
      add(convolution(width, out, 1, 1), out);
    } else {
      add(convolution(in, width, 3, stride), width);
      add(convolution(width, width, 3, 1), width);
    }
    if (stride != 1 || in != out)
      downsample_ = register_module(
          "downsample", torch::nn::Sequential(convolution(in, out, 1, stride), torch::nn::BatchNorm2d(out)));
  }

  at::Tensor forward(at::Tensor x) {
    at::Tensor y = x;
    for (std::size_t i = 0; i < convolutions_.size(); ++i) {
      y = norms_[i](convolutions_[i](y));
      if (i + 1 < convolutions_.size()) y = y.relu_();
    }
    y = y + (downsample_.is_empty() ? x : downsample_->forward(x));
    return y.relu_();
  }

 private:
  void add(Convolution layer, int width) {
    const std::string number = std::to_string(convolutions_.size() + 1);
    convolutions_.push_back(register_module("conv" + number, std::move(layer)));
    norms_.push_back(register_module("bn" + number, torch::nn::BatchNorm2d(width)));
  }

  std::vector<Convolution> convolutions_;
  std::vector<torch::nn::BatchNorm2d> norms_;
  torch::nn::Sequential downsample_{nullptr};
};

}  // namespace

ResNetImpl::ResNetImpl(const std::string& arch, int classes, int width) {
  const auto found = std::ranges::find(kResNetArchs, arch, &ResNetArch::name);
  if (found == kResNetArchs.end())
    fail("unknown architecture \"", arch, "\"; expected resnet18, resnet34, resnet50, resnet101 or resnet152");
  if (width < 1) fail(arch, ": width = ", width, " is not allowed; expected at least 1, usually 64");
  if (classes < 1) fail(arch, ": classes = ", classes, " is not allowed; expected at least 1");
  const auto first = torch::nn::Conv2dOptions(3, width, 7).stride(2).padding(3).bias(false);
  conv1_ = register_module("conv1", std::make_shared<torch::nn::Conv2dImpl>(first));
  torch::nn::init::kaiming_normal_(conv1_->weight, 0, torch::kFanOut, torch::kReLU);
  bn1_ = register_module("bn1", std::make_shared<torch::nn::BatchNorm2dImpl>(width));
  int in = width;
  for (std::size_t stage = 0; stage < layers_.size(); ++stage) {
    const int inner = width << stage;
    widths_[stage] = found->bottleneck ? inner * kExpansion : inner;
    const auto layer = std::make_shared<torch::nn::SequentialImpl>();
    for (int block = 0; block < found->blocks[stage]; ++block) {
      layer->push_back(std::make_shared<ResidualImpl>(in, inner, block == 0 && stage > 0 ? 2 : 1, found->bottleneck));
      in = widths_[stage];
    }
    layers_[stage] = register_module("layer" + std::to_string(stage + 1), layer);
  }
  fc_ = register_module("fc", std::make_shared<torch::nn::LinearImpl>(in, classes));
}

ResNetImpl::Outputs ResNetImpl::forward(at::Tensor x) {
  x = at::max_pool2d(bn1_->forward(conv1_->forward(x)).relu_(), 3, 2, 1);
  Outputs outputs;
  for (auto& layer : layers_) outputs.stages.push_back(x = layer->forward(x));
  const auto pool = [](const at::Tensor& map) { return at::adaptive_avg_pool2d(map, {1, 1}).flatten(1); };
  outputs.logits = full_precision_head(x, pool, fc_->weight, fc_->bias);
  return outputs;
}

}  // namespace vitrine
