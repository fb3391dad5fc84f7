#include <torch/torch.h>

#include <limits>

#include "common/models/load.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/train/gradients.h"
#include "train/optim/grad_scaler.h"
#include "train/student/weight_average.h"

using namespace vitrine;
using vitrine::testing::message_of;
using vitrine::testing::normal;

namespace {

const ScalerOptions kScaler{.scale = 1024, .growth = 4, .back_off = 0.25, .interval = 3};

std::vector<at::Tensor> finite() {
  return {at::tensor({512.0f, -2048.0f}), at::ones({2, 2})};
}
std::vector<at::Tensor> overflown() {
  return {at::ones({3}), at::tensor({1.0f, std::numeric_limits<float>::infinity()})};
}

torch::nn::Sequential small_model() {
  torch::manual_seed(4);
  return torch::nn::Sequential(torch::nn::Conv2d(3, 4, 3), torch::nn::BatchNorm2d(4));
}

/// Moves every weight, and BatchNorm's statistics, as a step of training would.
void move(torch::nn::Sequential& model, std::uint64_t seed) {
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : model->parameters())
    parameter.add_(at::randn(parameter.sizes(), at::make_generator<at::CPUGeneratorImpl>(seed)));
  model->train();
  model->forward(normal({2, 3, 5, 5}, seed, at::kFloat));
}

Tensors copied(const torch::nn::Module& module) {
  Tensors out;
  for (const auto& [name, tensor] : state_dict(module)) out.emplace(name, tensor.clone());
  return out;
}

}  // namespace

TEST_CASE("the scaler divides finite gradients by its scale, and grows after a row of them") {
  GradScaler scaler(kScaler, at::kCPU);
  CHECK(scaler.scaled(at::full({}, 3.0f)).item<float>() == 3072);
  for (int update = 0; update < 3; ++update) {
    CHECK(scaler.scale() == 1024);
    const std::vector<at::Tensor> gradients = finite();
    CHECK(scaler.unscale(gradients));
    CHECK(at::equal(gradients[0], at::tensor({0.5f, -2.0f})));
    CHECK(at::equal(gradients[1], at::full({2, 2}, 1.0f / 1024)));
  }
  CHECK(scaler.scale() == 4096);
  CHECK(scaler.skipped() == 0);
  CHECK(scaler.unscale({}));
}

TEST_CASE("an infinity or NaN anywhere leaves the update out, shrinks the scale and begins the row anew") {
  GradScaler scaler(kScaler, at::kCPU);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.unscale(finite()));
  CHECK_FALSE(scaler.unscale(overflown()));
  CHECK(scaler.scale() == 256);
  CHECK_FALSE(scaler.unscale({at::full({1}, std::numeric_limits<float>::quiet_NaN())}));
  CHECK(scaler.scale() == 64);
  CHECK(scaler.skipped() == 2);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.scale() == 64);
  CHECK(scaler.unscale(finite()));
  CHECK(scaler.scale() == 256);
}

TEST_CASE("a scaler that is loaded goes on as the one that was saved") {
  GradScaler scaler(kScaler, at::kCPU), other(kScaler, at::kCPU);
  scaler.unscale(overflown());
  scaler.unscale(finite());
  scaler.unscale(finite());
  other.load(scaler.state(), "file");
  CHECK(other.scale() == 256);
  CHECK(other.skipped() == 1);
  CHECK(other.unscale(finite()));
  CHECK(other.scale() == 1024);
  Tensors lacking = scaler.state();
  lacking.erase("good_updates");
  const std::string message = message_of([&] { other.load(lacking, "file"); });
  CHECK(message.find("file") == 0);
  CHECK(message.find("good_updates") != std::string::npos);
}

TEST_CASE("the average is d·average + (1 − d)·weights, BatchNorm's statistics too; counts are copied") {
  torch::nn::Sequential model = small_model();
  WeightAverage average({.decay = 0.75, .warm_up = false}, *model);
  Tensors expected = copied(*model);
  for (std::uint64_t update = 1; update <= 3; ++update) {
    move(model, update);
    average.update();
    for (auto& [name, tensor] : expected) {
      const at::Tensor now = copied(*model).at(name);
      tensor = tensor.is_floating_point() ? 0.75 * tensor + 0.25 * now : now;
    }
  }
  const Tensors state = average.state();
  CHECK(state.at("updates").item<std::int64_t>() == 3);
  for (const auto& [name, tensor] : expected) {
    CAPTURE(name);
    CHECK(at::allclose(state.at(name), tensor, 1e-5, 1e-6));
  }
  CHECK_FALSE(at::allclose(state.at("1.running_mean"), copied(*model).at("1.running_mean")));
  CHECK(state.at("1.num_batches_tracked").item<std::int64_t>() == 3);
}

TEST_CASE("with warm-up the first update keeps a tenth of the beginning") {
  torch::nn::Sequential model = small_model();
  WeightAverage average({.decay = 0.999, .warm_up = true}, *model);
  const at::Tensor before = model->parameters()[0].detach().clone();
  move(model, 1);
  average.update();
  CHECK(at::allclose(average.state().at("0.weight"), 0.1 * before + 0.9 * model->parameters()[0].detach(), 1e-5, 1e-6));
}

TEST_CASE("swapping shows the average in the model, and swapping back the weights to the bit") {
  torch::nn::Sequential model = small_model();
  WeightAverage average({.decay = 0.5, .warm_up = false}, *model);
  move(model, 1);
  average.update();
  const Tensors weights = copied(*model);
  const at::Tensor averaged = average.state().at("0.weight").clone();
  average.swap();
  CHECK(at::equal(copied(*model).at("0.weight"), averaged));
  average.swap();
  for (const auto& [name, tensor] : copied(*model)) CHECK(at::equal(tensor, weights.at(name)));
}

TEST_CASE("an average that is loaded goes on as the one that was saved; another model's is refused") {
  torch::nn::Sequential model = small_model();
  WeightAverage average({.decay = 0.9, .warm_up = true}, *model);
  move(model, 1);
  average.update();
  WeightAverage other({.decay = 0.9, .warm_up = true}, *model);
  other.load(average.state(), "file");
  move(model, 2);
  average.update();
  other.update();
  const Tensors expected = average.state();
  for (const auto& [name, tensor] : other.state()) CHECK(at::equal(tensor, expected.at(name)));
  Tensors wrong = average.state();
  wrong.at("0.weight") = at::zeros({1});
  CHECK(message_of([&] { other.load(wrong, "file"); }).find("0.weight") != std::string::npos);
  CHECK(message_of([&] { other.load({}, "file"); }).find("file") == 0);
}
