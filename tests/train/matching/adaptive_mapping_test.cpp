#include "train/matching/adaptive_mapping.h"

#include <torch/optim/adam.h>
#include <ATen/ATen.h>

#include <cmath>

#include "common/base/error.h"
#include "tests/support/testing.h"
#include "tests/train/gradients.h"
#include "train/matching/objective.h"

using namespace vitrine;
using vitrine::testing::gradient_error;
using vitrine::testing::normal;

namespace {

AdaptiveMapping made(const std::vector<std::int64_t>& stages, const std::vector<std::int64_t>& blocks) {
  at::manual_seed(3);
  AdaptiveMapping mapping(stages, blocks);
  mapping->to(at::kDouble);
  return mapping;
}

}  // namespace

TEST_CASE("the adaptive loss is the weighted error of each pair, per image") {
  AdaptiveMapping mapping = made({2, 3}, {4, 5});
  const std::vector<at::Tensor> stages{normal({3, 2, 4, 4}, 1), normal({3, 3, 2, 2}, 2)};
  const std::vector<at::Tensor> blocks{normal({3, 4, 2, 2}, 3), normal({3, 5, 2, 2}, 4)};
  const MappedLoss out = mapping->forward(stages, blocks);
  const auto parameters = mapping->named_parameters();
  const auto standardised = [](const at::Tensor& map) {
    const at::Tensor x = map.mean({1, 2});
    return (x - x.mean()) / (x.var(/*unbiased=*/false) + 1e-5).sqrt();
  };
  double expected = 0;
  at::Tensor weights = at::zeros({2, 2}, at::kDouble);
  for (std::int64_t n = 0; n < 3; ++n)
    for (std::size_t s = 0; s < 2; ++s) {
      const std::string stage = std::to_string(s);
      const at::Tensor query = at::mv(parameters["query" + stage + ".weight"], standardised(stages[s][n])) +
                               parameters["query" + stage + ".bias"];
      double scores[2], errors[2];
      for (std::size_t t = 0; t < 2; ++t) {
        const std::string block = std::to_string(t);
        const at::Tensor key = at::mv(parameters["key" + block + ".weight"], standardised(blocks[t][n])) +
                               parameters["key" + block + ".bias"];
        scores[t] = std::exp(query.dot(key).item<double>() / 8);
        const at::Tensor on_grid = s == 0 ? at::avg_pool2d(stages[s][n].unsqueeze(0), 2) : stages[s][n].unsqueeze(0);
        const std::string pair = "project" + stage + "_" + block;
        const at::Tensor projected = at::conv2d(on_grid, parameters[pair + ".weight"], parameters[pair + ".bias"]);
        errors[t] = (projected - blocks[t][n].unsqueeze(0)).square().mean().item<double>();
      }
      for (std::size_t t = 0; t < 2; ++t) {
        const double alpha = scores[t] / (scores[0] + scores[1]);
        expected += alpha * errors[t] / 6;
        weights[static_cast<std::int64_t>(s)][static_cast<std::int64_t>(t)] += alpha / 3;
      }
    }
  CHECK(out.loss.item<double>() == doctest::Approx(expected).epsilon(1e-10));
  CHECK(at::allclose(out.weights, weights, 1e-10, 1e-12));
  CHECK(at::allclose(out.weights.sum(1), at::ones({2}, at::kDouble)));
}

TEST_CASE("gradients match finite differences, and the teacher has none") {
  AdaptiveMapping mapping = made({3}, {2, 4});
  const at::Tensor stage = normal({2, 3, 2, 2}, 1).requires_grad_();
  const std::vector<at::Tensor> blocks{normal({2, 2, 2, 2}, 2).requires_grad_(), normal({2, 4, 2, 2}, 3)};
  const auto loss = [&] { return mapping->forward({stage}, blocks).loss; };
  CHECK(gradient_error(loss, stage) < 1e-7);
  for (const auto& parameter : mapping->named_parameters()) {
    CAPTURE(parameter.key());
    CHECK(gradient_error(loss, parameter.value()) < 1e-7);
  }
  CHECK_FALSE(blocks[0].grad().defined());
}

TEST_CASE("the weights converge to the block that a stage can fit") {
  // Of three blocks the second is a linear function of the stage; the others are independent of it.
  AdaptiveMapping mapping = made({4}, {5, 5, 5});
  const at::Tensor stage = normal({32, 4, 3, 3}, 1);
  const std::vector<at::Tensor> blocks{
      normal({32, 5, 3, 3}, 2), at::einsum("nchw,kc->nkhw", {stage, normal({5, 4}, 3)}), normal({32, 5, 3, 3}, 4)};
  torch::optim::Adam descent(mapping->parameters(), torch::optim::AdamOptions(0.01));
  MappedLoss out;
  for (int step = 0; step < 300; ++step) {
    descent.zero_grad();
    out = mapping->forward({stage}, blocks);
    out.loss.backward();
    descent.step();
  }
  CHECK(out.weights[0][1].item<double>() > 0.9);
  CHECK(out.loss.item<double>() < 0.2);
}

TEST_CASE("maps of other shapes than the module was made for are refused") {
  AdaptiveMapping mapping = made({3}, {2, 4});
  const at::Tensor stage = normal({2, 3, 2, 2}, 1);
  CHECK_THROWS_WITH_AS(mapping->forward({stage}, {normal({2, 2, 2, 2}, 2)}), doctest::Contains("teacher"), Error);
  CHECK_THROWS_WITH_AS(mapping->forward({normal({2, 4, 2, 2}, 1)}, {normal({2, 2, 2, 2}, 2), normal({2, 4, 2, 2}, 2)}),
                       doctest::Contains("student"), Error);
  CHECK_THROWS_AS(AdaptiveMapping(std::vector<std::int64_t>{}, std::vector<std::int64_t>{1}), std::logic_error);
}

TEST_CASE("a step's weights are the mean over its micro-batches, and a step without features has none") {
  ObjectiveOptions options;
  options.transformer.mapping = Mapping::kAdaptive;
  options.transformer.direction = Direction::kStudentToTeacher;
  options.transformer.stages = {3, 4};
  options.features = "features.0, features.1";
  TargetShapes shapes;
  shapes.features = {{4, 2, 2}, {6, 2, 2}};
  shapes.bases = {nullptr, nullptr};
  at::manual_seed(1);
  Objective objective(options, shapes, {8, 16, 32, 64}, 3, 32, at::kCPU);
  const std::vector<at::Tensor> stages{at::randn({5, 8, 8, 8}), at::randn({5, 16, 4, 4}), at::randn({5, 32, 2, 2}),
                                       at::randn({5, 64, 1, 1})};
  Batch batch;
  batch.features = {at::randn({5, 4, 2, 2}), at::randn({5, 6, 2, 2})};
  PhaseOptions phase;
  phase.feature_term = true;
  phase.output_term = phase.attention_term = phase.label_term = false;
  const auto add = [&](std::int64_t first, std::int64_t count) {
    NetworkOutputs out;
    for (const at::Tensor& stage : stages) out.stages.push_back(stage.narrow(0, first, count));
    objective.terms(out, batch.rows(first, count), phase);
  };
  objective.enter(phase);
  add(0, 5);
  const at::Tensor whole = objective.mapped().weights;
  objective.enter(phase);
  CHECK_FALSE(objective.mapped().weights.defined());
  add(0, 2);
  CHECK_FALSE(at::allclose(objective.mapped().weights, whole));
  add(2, 3);
  CHECK(at::allclose(objective.mapped().weights, whole, 1e-5, 1e-6));
}
