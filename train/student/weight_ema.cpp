#include "train/student/weight_ema.h"

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/models/weights/load.h"

namespace vitrine {

void EmaOptions::fields(Fields& f) {
  f.number("decay", decay, "share of the moving average that each update keeps, for instance 0.999; 0: no average",
           {0, 0.999999});
  f.flag("warm_up", warm_up, "smaller decay at first: (1 + n) / (10 + n) after n updates, up to decay");
}

WeightEma::WeightEma(const EmaOptions& options, const torch::nn::Module& module) : options_(options) {
  for (const auto& [name, tensor] : state_dict(module)) {
    names_.push_back(name);
    own_.push_back(tensor);
    average_.push_back(tensor.clone());
    if (!tensor.is_floating_point()) continue;
    own_floating_.push_back(own_.back());
    average_floating_.push_back(average_.back());
  }
}

void WeightEma::update() {
  const at::NoGradGuard no_grad;
  const auto n = static_cast<double>(updates_++);
  const double decay = options_.warm_up ? std::min(options_.decay, (1 + n) / (10 + n)) : options_.decay;
  at::_foreach_lerp_(average_floating_, own_floating_, 1 - decay);
  for (std::size_t i = 0; i < own_.size(); ++i)
    if (!own_[i].is_floating_point()) average_[i].copy_(own_[i]);
}

void WeightEma::swap() {
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < own_.size(); ++i) {
    const at::Tensor held = own_[i].clone();
    own_[i].copy_(average_[i]);
    average_[i].copy_(held);
  }
}

Tensors WeightEma::state() const {
  Tensors out{{"updates", at::full({}, updates_, at::kLong)}};
  for (std::size_t i = 0; i < names_.size(); ++i) out.emplace(names_[i], average_[i]);
  return out;
}

void WeightEma::load(const Tensors& state, const std::string& where) {
  const at::NoGradGuard no_grad;
  if (state.size() != names_.size() + 1 || !state.contains("updates"))
    fail(where, ": has no average, or that of another model's weights; resume with the same model and ema.decay");
  for (std::size_t i = 0; i < names_.size(); ++i) {
    const auto found = state.find(names_[i]);
    if (found == state.end() || found->second.sizes() != average_[i].sizes())
      fail(where, ": the average of \"", names_[i], "\" is missing or has another shape; resume with the same model");
    average_[i].copy_(found->second);
  }
  updates_ = state.at("updates").item<std::int64_t>();
}

}  // namespace vitrine
