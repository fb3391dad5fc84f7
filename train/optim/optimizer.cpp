#include "train/optim/optimizer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>

#include "common/base/error.h"

namespace vitrine {
namespace {

at::Tensor copy_on_cpu(const at::Tensor& x) {
  return x.detach().to(at::kCPU, x.scalar_type(), false, /*copy=*/true);
}

/// Copies the named tensor into `into`.
void take(const OptimizerState& state, const std::string& name, const std::string& where, at::Tensor& into) {
  const auto found = state.find(name);
  if (found == state.end())
    fail("The optimizer's state in ", where, " lacks \"", name,
         "\"; it was saved for another model or another kind of optimizer: resume with the settings that it was made "
         "with.");
  if (found->second.sizes() != into.sizes() || found->second.scalar_type() != into.scalar_type())
    fail("The optimizer's state in ", where, " has \"", name, "\" as ", found->second.scalar_type(), " ",
         found->second.sizes(), ", but ", into.scalar_type(), " ", into.sizes(),
         " was expected; resume with the model that it was made with.");
  into.copy_(found->second);
}

void refuse_unexpected(const OptimizerState& state, const std::set<std::string>& expected, const std::string& where) {
  for (const auto& [name, tensor] : state)
    if (!expected.contains(name))
      fail("The optimizer's state in ", where, " has \"", name,
           "\", which belongs to no parameter here; resume with the model and the kind of optimizer that it was made "
           "with.");
}

// Whether two tensors of the same shape have the same memory layout; strides of dimensions of size 1 do not matter.
bool same_layout(const at::Tensor& a, const at::Tensor& b) {
  for (std::int64_t d = 0; d < a.dim(); ++d)
    if (a.size(d) > 1 && a.stride(d) != b.stride(d)) return false;
  return true;
}

// Parameters of several dimensions that are additive like biases: a ViT's class token and position embedding (also
// exempt in timm and DeiT), and the feature transformer's mask.
bool acts_as_bias(const std::string& name) {
  for (const char* last : {"cls_token", "pos_embed", "mask"})
    if (name == last || name.ends_with(std::string(".") + last)) return true;
  return false;
}

std::vector<at::Tensor> zeros_like(const NamedParameters& parameters) {
  std::vector<at::Tensor> zeros;
  for (const auto& [name, parameter] : parameters) zeros.push_back(at::zeros_like(parameter.detach()));
  return zeros;
}

}  // namespace

void OptimizerOptions::fields(Fields& f) {
  f.choice("kind", kind, {{"sgd", OptimizerKind::kSgd}, {"adamw", OptimizerKind::kAdamW}}, "how weights are updated");
  f.number("weight_decay", weight_decay, "weight decay", {0, 10});
  f.flag("decay_vectors", decay_vectors, "also decay biases, BatchNorm's parameters, class token, positions and mask");
  f.number("momentum", momentum, "momentum (sgd only)", {0, 0.9999});
  f.flag("nesterov", nesterov, "Nesterov's form of momentum (sgd only)");
  f.number("beta1", beta1, "decay of the gradient's mean (adamw only)", {0, 0.999999});
  f.number("beta2", beta2, "decay of the squared gradient's mean (adamw only)", {0, 0.999999});
  f.number("epsilon", epsilon, "added to the root of the squared gradient's mean (adamw only)", {0, 1});
}

Optimizer::Optimizer(NamedParameters parameters, const OptimizerOptions& options)
    : parameters_(std::move(parameters)), options_(options) {
  std::set<std::string> names;
  for (const auto& [name, parameter] : parameters_) {
    const at::Tensor& first = parameters_.front().second;
    if (!names.insert(name).second) throw std::logic_error("Optimizer: two parameters named " + name);
    if (parameter.scalar_type() != first.scalar_type() || parameter.device() != first.device())
      throw std::logic_error("Optimizer: another type or device at " + name);
  }
}

void Optimizer::zero_grad() {
  for (auto& [name, parameter] : parameters_) parameter.mutable_grad().reset();
}

std::vector<at::Tensor> Optimizer::gradients() const {
  std::vector<at::Tensor> out;
  for (const auto& [name, parameter] : parameters_)
    if (parameter.grad().defined()) out.push_back(parameter.grad());
  return out;
}

bool Optimizer::decays(std::size_t i) const {
  if (options_.weight_decay == 0) return false;
  return options_.decay_vectors || (parameters_[i].second.dim() > 1 && !acts_as_bias(parameters_[i].first));
}

Sgd::Sgd(NamedParameters parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options), momentum_(zeros_like(parameters_)) {}

void Sgd::step(double lr) {
  const at::NoGradGuard no_grad;
  for (const bool decayed : {false, true}) {
    std::vector<at::Tensor> weights, gradients, momenta;
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      const at::Tensor& weight = parameters_[i].second;
      if (!weight.grad().defined() || decays(i) != decayed) continue;
      // One pass over memory instead of five, in memory order, which must be equal for all three.
      if (!same_layout(weight.grad(), weight) || !same_layout(momentum_[i], weight))
        throw std::logic_error("Sgd: a gradient or momentum of another layout at " + parameters_[i].first);
      weights.push_back(weight.detach());
      gradients.push_back(weight.grad());
      if (options_.momentum != 0) momenta.push_back(momentum_[i]);
    }
    if (weights.empty()) continue;
    at::_fused_sgd_(weights, gradients, momenta, decayed ? options_.weight_decay : 0.0, options_.momentum, lr,
                    /*dampening=*/0.0, options_.nesterov && options_.momentum != 0, /*maximize=*/false,
                    /*is_first_step=*/false);
  }
}

OptimizerState Sgd::state() const {
  OptimizerState state;
  for (std::size_t i = 0; i < parameters_.size(); ++i)
    state["momentum." + parameters_[i].first] = copy_on_cpu(momentum_[i]);
  return state;
}

void Sgd::load_state(const OptimizerState& state, const std::string& where) {
  const at::NoGradGuard no_grad;
  std::set<std::string> expected;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string name = "momentum." + parameters_[i].first;
    take(state, name, where, momentum_[i]);
    expected.insert(name);
  }
  refuse_unexpected(state, expected, where);
}

AdamW::AdamW(NamedParameters parameters, const OptimizerOptions& options)
    : Optimizer(std::move(parameters), options),
      mean_(zeros_like(parameters_)),
      square_(zeros_like(parameters_)),
      steps_(parameters_.size(), 0) {}

void AdamW::step(double lr) {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> weights, gradients, means, squares, decayed;
  std::vector<at::Scalar> step_sizes, square_corrections;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const at::Tensor& weight = parameters_[i].second;
    if (!weight.grad().defined()) continue;
    weights.push_back(weight.detach());
    gradients.push_back(weight.grad());
    means.push_back(mean_[i]);
    squares.push_back(square_[i]);
    if (decays(i)) decayed.push_back(weight.detach());
    const double steps = static_cast<double>(++steps_[i]);
    step_sizes.emplace_back(-lr / (1 - std::pow(options_.beta1, steps)));
    square_corrections.emplace_back(std::sqrt(1 - std::pow(options_.beta2, steps)));
  }
  if (weights.empty()) return;
  if (!decayed.empty()) at::_foreach_mul_(decayed, 1 - lr * options_.weight_decay);
  at::_foreach_lerp_(means, gradients, 1 - options_.beta1);
  at::_foreach_mul_(squares, options_.beta2);
  at::_foreach_addcmul_(squares, gradients, gradients, 1 - options_.beta2);
  std::vector<at::Tensor> denominators = at::_foreach_sqrt(squares);
  at::_foreach_div_(denominators, square_corrections);
  at::_foreach_add_(denominators, options_.epsilon);
  at::_foreach_addcdiv_(weights, means, denominators, step_sizes);
}

OptimizerState AdamW::state() const {
  OptimizerState state;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    state["mean." + name] = copy_on_cpu(mean_[i]);
    state["square." + name] = copy_on_cpu(square_[i]);
    state["steps." + name] = at::full({}, steps_[i], at::kLong);
  }
  return state;
}

void AdamW::load_state(const OptimizerState& state, const std::string& where) {
  const at::NoGradGuard no_grad;
  std::set<std::string> expected;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].first;
    take(state, "mean." + name, where, mean_[i]);
    take(state, "square." + name, where, square_[i]);
    at::Tensor steps = at::zeros({}, at::kLong);
    take(state, "steps." + name, where, steps);
    steps_[i] = steps.item<std::int64_t>();
    expected.insert({"mean." + name, "square." + name, "steps." + name});
  }
  refuse_unexpected(state, expected, where);
}

std::unique_ptr<Optimizer> make_optimizer(NamedParameters parameters, const OptimizerOptions& options) {
  if (options.kind == OptimizerKind::kAdamW) return std::make_unique<AdamW>(std::move(parameters), options);
  return std::make_unique<Sgd>(std::move(parameters), options);
}

}  // namespace vitrine
