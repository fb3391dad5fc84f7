// The network for inference against the module that it was made from.
#include <ATen/ATen.h>

#include <cmath>
#include <vector>

#include "common/models/autocast.h"
#include "common/models/inference/cost.h"
#include "common/models/inference/frozen_resnet.h"
#include "common/kernels/pooling.h"
#include "common/models/resnet.h"
#include "common/models/vit/options.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;

namespace {

// In evaluation mode; BatchNorm's statistics and parameters differ from their defaults.
ResNet lived_in(const std::string& arch, int width) {
  at::manual_seed(3);
  const at::NoGradGuard no_grad;
  ResNet out(arch, 10, width);
  for (auto& [name, tensor] : state_dict(*out)) {
    at::Tensor own = tensor;
    if (name.ends_with("running_mean") || name.ends_with("bn1.bias")) own.normal_(0, 0.1);
    if (name.ends_with("running_var")) own.uniform_(0.5, 1.5);
  }
  out->eval();
  return out;
}

double relative_error(const at::Tensor& rough, const at::Tensor& exact) {
  return ((rough - exact).norm() / exact.norm()).item<double>();
}

at::Tensor logits_of(ResNet& network, const at::Tensor& x) {
  const at::NoGradGuard no_grad;
  return network->forward(x).logits;
}

}  // namespace

TEST_CASE("a frozen ResNet computes the module's logits in FP32, whatever is fused and packed") {
  for (const auto& [arch, width] : {std::pair{"resnet18", 64}, std::pair{"resnet34", 8}, std::pair{"resnet50", 24}}) {
    ResNet module = lived_in(arch, width);
    for (const std::int64_t side : {32, 65}) {
      const at::Tensor x = at::randn({3, 3, side, side - 1}), exact = logits_of(module, x);
      for (const bool fuse : {false, true})
        for (const bool pack : {false, true}) {
          CAPTURE(arch);
          CAPTURE(side);
          CAPTURE(fuse);
          CAPTURE(pack);
          const FrozenResNet frozen(state_dict(*module), at::kCPU,
                                    {.fuse = fuse, .pack = pack, .shape = {3, side, side - 1}});
          CHECK(frozen.fused() == fuse);
          const at::Tensor before = x.clone();
          CHECK(relative_error(frozen.forward(x), exact) < 1e-5);
          CHECK(relative_error(frozen.forward(x.contiguous(at::MemoryFormat::ChannelsLast)), exact) < 1e-5);
          CHECK(at::equal(x, before));
        }
    }
  }
}

TEST_CASE("a frozen ResNet takes other shapes than it was packed for, and single channels-last pictures") {
  ResNet module = lived_in("resnet18", 16);
  const FrozenResNet frozen(state_dict(*module), at::kCPU, {.shape = {8, 64, 64}});
  for (const std::vector<std::int64_t>& shape :
       std::vector<std::vector<std::int64_t>>{{1, 3, 64, 64}, {8, 3, 64, 64}, {5, 3, 97, 40}, {1, 3, 32, 32}}) {
    CAPTURE(c10::str(shape));
    const at::Tensor x = at::randn(shape).contiguous(at::MemoryFormat::ChannelsLast);
    CHECK(relative_error(frozen.forward(x), logits_of(module, x)) < 1e-5);
  }
}

TEST_CASE("in 16 bits a frozen ResNet is as exact as the module under autocast") {
  ResNet module = lived_in("resnet50", 32);
  const at::Tensor x = at::randn({4, 3, 96, 96}), exact = logits_of(module, x);
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    CAPTURE(c10::toString(type));
    double autocast = 0;
    {
      const Autocast on(at::kCPU, type);
      autocast = relative_error(logits_of(module, x), exact);
    }
    CHECK(autocast > 1e-5);
    for (const bool fuse : {false, true}) {
      CAPTURE(fuse);
      const FrozenResNet frozen(state_dict(*module), at::kCPU, {.type = type, .fuse = fuse, .shape = {4, 96, 96}});
      const at::Tensor logits = frozen.forward(x);
      CHECK((logits.scalar_type() == at::kFloat));
      CHECK(relative_error(logits, exact) < 1.5 * autocast);
      CHECK(at::equal(frozen.forward(x.to(type)), logits));
      const Autocast other(at::kCPU, at::kBFloat16);
      CHECK(at::equal(frozen.forward(x), logits));
    }
  }
}

TEST_CASE("a frozen ResNet keeps no reference to the module") {
  ResNet module = lived_in("resnet18", 8);
  const at::Tensor x = at::randn({1, 3, 32, 32}), exact = logits_of(module, x);
  const FrozenResNet frozen(state_dict(*module), at::kCPU, {.pack = false, .shape = {1, 32, 32}});
  const at::NoGradGuard no_grad;
  for (at::Tensor& parameter : module->parameters()) parameter.zero_();
  CHECK(relative_error(frozen.forward(x), exact) < 1e-5);
}

TEST_CASE("a frozen ResNet is refused where a weight is not finite once BatchNorm is folded in") {
  const auto refused = [](const char* name, float value) {
    ResNet module = lived_in("resnet18", 8);
    Tensors weights = state_dict(*module);
    weights.at(name) = weights.at(name).clone();
    weights.at(name).view({-1})[0] = value;
    return vitrine::testing::message_of([&] { FrozenResNet(weights, at::kCPU); });
  };
  CHECK(refused("bn1.running_var", 1) == "");
  CHECK(vitrine::testing::has(refused("bn1.running_var", -1), "the weights of conv1"));
  CHECK(vitrine::testing::has(refused("layer2.0.downsample.0.weight", NAN), "the weights of layer2.0.downsample.0"));
  CHECK(vitrine::testing::has(refused("fc.weight", INFINITY), "the weights of fc"));
}

TEST_CASE("max_pool_of_relu is ATen's pooling, bit by bit") {
  at::manual_seed(4);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf})
    for (const auto& [height, width] : {std::pair{8, 8}, std::pair{7, 10}, std::pair{1, 1}, std::pair{2, 33}}) {
      CAPTURE(c10::toString(type));
      CAPTURE(height);
      CAPTURE(width);
      const at::Tensor x = at::randn({2, 19, height, width}).relu().to(type).contiguous(at::MemoryFormat::ChannelsLast);
      const at::Tensor pooled = max_pool_of_relu(x);
      CHECK(at::equal(pooled, at::max_pool2d(x, 3, 2, 1)));
      CHECK(pooled.is_contiguous(at::MemoryFormat::ChannelsLast));
    }
  CHECK_THROWS_AS(max_pool_of_relu(at::zeros({1, 8, 6, 6})), c10::Error);
}

TEST_CASE("mean_over_positions is the mean in FP32, whatever the type") {
  at::manual_seed(4);
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kHalf}) {
    CAPTURE(c10::toString(type));
    const at::Tensor x = at::randn({3, 21, 7, 5}).to(type).contiguous(at::MemoryFormat::ChannelsLast);
    const at::Tensor mean = mean_over_positions(x);
    CHECK((mean.scalar_type() == at::kFloat));
    CHECK(at::allclose(mean, x.to(at::kDouble).mean({2, 3}).to(at::kFloat), 1e-5, 1e-6));
  }
}

TEST_CASE("parameters and multiply-adds are torchvision's figures") {
  // "num_params" and "_ops" (in 10^9) of torchvision 0.26's weights.
  const auto check = [](const NetworkCost& cost, std::uint64_t parameters, double ops) {
    CHECK(cost.parameters == parameters);
    CHECK(static_cast<double>(cost.multiply_adds) / 1e9 == doctest::Approx(ops).epsilon(0.0005));
  };
  check(cost_of(ResNet("resnet18", 1000), 224, 224), 11'689'512, 1.814);
  check(cost_of(ResNet("resnet50", 1000), 224, 224), 25'557'032, 4.089);
  VitStructure vit = structure_of({.arch = "vit_base_patch16_224"});
  CHECK(static_cast<double>(multiply_adds_of(vit)) / 1e9 == doctest::Approx(17.564).epsilon(0.002));
  const std::uint64_t plain = multiply_adds_of(vit);
  vit.mlp = VitMlp::kSwigluSplit;  // a third product of dim × hidden per token
  CHECK(multiply_adds_of(vit) - plain == std::uint64_t{12} * 197 * 768 * 3072);
}
