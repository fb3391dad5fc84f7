#include "train/optim/optimizer.h"

#include <torch/optim/adamw.h>
#include <torch/optim/optimizer.h>
#include <torch/optim/sgd.h>
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "tests/support/testing.h"
#include "tests/train/gradients.h"

using namespace vitrine;
using testing::normal;

namespace {

/// A convolution's weight, its bias, and a parameter that gets no gradient in the first step.
NamedParameters fresh(at::ScalarType type = at::kFloat) {
  return {{"weight", normal({4, 3, 2, 2}, 1, type).requires_grad_()},
          {"bias", normal({4}, 2, type).requires_grad_()},
          {"late", normal({2, 3}, 3, type).requires_grad_()}};
}

void give_gradients(const NamedParameters& parameters, int step) {
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    at::Tensor parameter = parameters[i].second;
    if (i == 2 && step == 0) continue;
    parameter.mutable_grad() =
        normal(parameter.sizes(), 100 + 10 * static_cast<std::uint64_t>(step) + i, parameter.scalar_type());
  }
}

/// The same steps with torch's optimizer, whose groups are (decayed, not decayed).
template <class Torch, class Options>
NamedParameters torch_result(Options decayed, bool decay_vectors, int steps, const std::vector<double>& rates) {
  NamedParameters parameters = fresh();
  Options plain = decayed;
  plain.weight_decay(decay_vectors ? decayed.weight_decay() : 0);
  std::vector<torch::optim::OptimizerParamGroup> groups;
  groups.emplace_back(std::vector<at::Tensor>{parameters[0].second, parameters[2].second},
                      std::make_unique<Options>(decayed));
  groups.emplace_back(std::vector<at::Tensor>{parameters[1].second}, std::make_unique<Options>(plain));
  Torch optimizer(groups, decayed);
  for (int step = 0; step < steps; ++step) {
    for (auto& group : optimizer.param_groups()) group.options().set_lr(rates[step]);
    give_gradients(parameters, step);
    optimizer.step();
  }
  return parameters;
}

NamedParameters our_result(const OptimizerOptions& options, int steps, const std::vector<double>& rates) {
  NamedParameters parameters = fresh();
  const auto optimizer = make_optimizer(parameters, options);
  for (int step = 0; step < steps; ++step) {
    give_gradients(parameters, step);
    optimizer->step(rates[step]);
  }
  return parameters;
}

double largest_difference(const NamedParameters& a, const NamedParameters& b) {
  double largest = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    largest = std::max(largest, (a[i].second - b[i].second).abs().max().item<double>());
  return largest;
}

const std::vector<double> kRates = {0.1, 0.1, 0.05, 0.02, 0.01, 0.01};
const int kSteps = static_cast<int>(kRates.size());

}  // namespace

TEST_CASE("SGD equals torch's, with and without momentum, Nesterov and decay of vectors") {
  for (const bool decay_vectors : {false, true})
    for (const auto& [momentum, nesterov] : {std::pair{0.0, false}, {0.9, false}, {0.9, true}}) {
      CAPTURE(momentum);
      CAPTURE(nesterov);
      const OptimizerOptions options{
          .weight_decay = 0.05, .decay_vectors = decay_vectors, .momentum = momentum, .nesterov = nesterov};
      const auto theirs = torch_result<torch::optim::SGD>(
          torch::optim::SGDOptions(0.1).weight_decay(0.05).momentum(momentum).nesterov(nesterov), decay_vectors, kSteps,
          kRates);
      CHECK(largest_difference(our_result(options, kSteps, kRates), theirs) < 1e-6);
    }
}

TEST_CASE("AdamW equals torch's, also for a parameter that gets its first gradient late") {
  for (const bool decay_vectors : {false, true}) {
    const OptimizerOptions options{.kind = OptimizerKind::kAdamW, .weight_decay = 0.05, .decay_vectors = decay_vectors};
    const auto theirs = torch_result<torch::optim::AdamW>(torch::optim::AdamWOptions(0.1).weight_decay(0.05),
                                                          decay_vectors, kSteps, kRates);
    CHECK(largest_difference(our_result(options, kSteps, kRates), theirs) < 1e-6);
  }
}

TEST_CASE("weight decay exempts a ViT's class token and position embedding and the transformer's mask, like biases") {
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW})
    for (const bool decay_vectors : {false, true}) {
      NamedParameters parameters;
      for (const char* name :
           {"model.cls_token", "model.pos_embed", "transformer.mask", "mask", "model.unmask", "model.w"})
        parameters.emplace_back(name, at::ones({1, 2, 3}).requires_grad_());
      const auto optimizer = make_optimizer(
          parameters, {.kind = kind, .weight_decay = 0.5, .decay_vectors = decay_vectors, .momentum = 0});
      for (auto& [name, parameter] : parameters) parameter.mutable_grad() = at::zeros({1, 2, 3});
      optimizer->step(0.1);
      for (std::size_t i = 0; i < parameters.size(); ++i) {
        CAPTURE(parameters[i].first);
        CHECK(at::equal(parameters[i].second, at::ones({1, 2, 3})) == (i < 4 && !decay_vectors));
      }
    }
}

TEST_CASE("the learning rate and decay_vectors have an effect") {
  OptimizerOptions options{.weight_decay = 0.05};
  const auto reference = our_result(options, kSteps, kRates);
  options.decay_vectors = true;
  const auto decayed = our_result(options, kSteps, kRates);
  CHECK(at::equal(decayed[0].second, reference[0].second));
  CHECK_FALSE(at::equal(decayed[1].second, reference[1].second));
  CHECK(largest_difference(our_result(options, kSteps, std::vector<double>(kRates.size(), 0)), fresh()) == 0);
}

TEST_CASE("a parameter without a gradient keeps its value and state") {
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    const auto result = our_result({.kind = kind, .weight_decay = 0.05}, 1, kRates);
    CHECK(at::equal(result[2].second, fresh()[2].second));
    CHECK_FALSE(at::equal(result[0].second, fresh()[0].second));
  }
}

TEST_CASE("an optimizer loaded in the middle of training continues bit-equal") {
  for (const OptimizerKind kind : {OptimizerKind::kSgd, OptimizerKind::kAdamW}) {
    const OptimizerOptions options{.kind = kind, .weight_decay = 0.05};
    NamedParameters parameters = fresh();
    OptimizerState saved;
    {
      const auto optimizer = make_optimizer(parameters, options);
      for (int step = 0; step < 3; ++step) {
        give_gradients(parameters, step);
        optimizer->step(kRates[step]);
      }
      saved = optimizer->state();
      give_gradients(parameters, 3);
      NamedParameters kept;
      for (const auto& [name, parameter] : parameters) kept.emplace_back(name, parameter.detach().clone());
      optimizer->step(kRates[3]);  // trains on: the saved state must be a copy
      parameters = kept;
    }
    const auto resumed = make_optimizer(parameters, options);
    resumed->load_state(saved, "a test");
    for (int step = 3; step < kSteps; ++step) {
      give_gradients(parameters, step);
      resumed->step(kRates[step]);
    }
    CHECK(largest_difference(parameters, our_result(options, kSteps, kRates)) == 0);
  }
}

TEST_CASE("the state of another model or optimizer is refused, and the message names the tensor") {
  const auto sgd = make_optimizer(fresh(), {});
  const auto adamw = make_optimizer(fresh(), {.kind = OptimizerKind::kAdamW});
  CHECK_THROWS_WITH_AS(sgd->load_state(adamw->state(), "run.safetensors"), doctest::Contains("run.safetensors"), Error);
  OptimizerState state = sgd->state();
  state["momentum.other"] = at::zeros({1});
  CHECK_THROWS_WITH_AS(sgd->load_state(state, "f"), doctest::Contains("momentum.other"), Error);
  state = sgd->state();
  state["momentum.bias"] = at::zeros({5});
  CHECK_THROWS_WITH_AS(sgd->load_state(state, "f"), doctest::Contains("momentum.bias"), Error);
}

TEST_CASE("duplicate parameter names are refused, and zero_grad drops gradients") {
  NamedParameters twice = {{"a", at::zeros({1})}, {"a", at::zeros({1})}};
  CHECK_THROWS_AS(make_optimizer(twice, {}), std::logic_error);
  NamedParameters parameters = fresh();
  give_gradients(parameters, 1);
  make_optimizer(parameters, {})->zero_grad();
  CHECK_FALSE(parameters[0].second.grad().defined());
}
