#include "train/matching/stage_exits.h"

#include <torch/nn/modules/activation.h>
#include <torch/nn/modules/batchnorm.h>
#include <torch/nn/modules/container/sequential.h>
#include <torch/nn/modules/conv.h>
#include <torch/nn/modules/linear.h>
#include <ATen/ATen.h>

#include <string>

#include "common/models/convolution.h"
#include "common/models/head.h"

namespace vitrine {

StageExitsImpl::StageExitsImpl(const std::vector<std::int64_t>& widths, int classes) {
  for (std::size_t stage = 0; stage < widths.size(); ++stage) {
    const auto path = std::make_shared<torch::nn::SequentialImpl>();
    for (std::size_t i = stage; i + 1 < widths.size(); ++i) {
      const std::int64_t in = widths[i], out = widths[i + 1];
      path->push_back(
          torch::nn::Conv2d(torch::nn::Conv2dOptions(in, in, 3).stride(2).padding(1).groups(in).bias(false)));
      path->push_back(Convolution(torch::nn::Conv2dOptions(in, out, 1).bias(false)));
      path->push_back(torch::nn::BatchNorm2d(out));
      path->push_back(torch::nn::ReLU());
    }
    const std::string number = std::to_string(stage + 1);
    paths_.push_back(register_module("path" + number, path));
    heads_.push_back(register_module("head" + number, std::make_shared<torch::nn::LinearImpl>(widths.back(), classes)));
  }
}

std::vector<at::Tensor> StageExitsImpl::forward(const std::vector<at::Tensor>& stages) {
  std::vector<at::Tensor> out;
  for (std::size_t stage = 0; stage < paths_.size(); ++stage) {
    const at::Tensor last = paths_[stage]->is_empty() ? stages[stage] : paths_[stage]->forward(stages[stage]);
    const auto pool = [](const at::Tensor& map) { return at::adaptive_avg_pool2d(map, {1, 1}).flatten(1); };
    out.push_back(full_precision_head(last, pool, heads_[stage]->weight, heads_[stage]->bias));
  }
  return out;
}

}  // namespace vitrine
