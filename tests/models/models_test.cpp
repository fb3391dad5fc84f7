#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include "common/base/error.h"
#include "common/models/convolution.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/resnet.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "tests/models/samples.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::copy_of;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::small_vit;

TEST_CASE("an architecture's name gives its dimensions, and given dimensions win over it") {
  VitOptions options = resolve({.arch = "vit_base_patch14_518"});
  CHECK(options.dim == 768);
  CHECK(options.depth == 12);
  CHECK(options.heads == 12);
  CHECK(options.patch == 14);
  CHECK(options.image_size == 518);
  CHECK(resolve({.arch = "vit_tiny_patch16_224", .image_size = 96}).image_size == 96);
  CHECK(has(message_of([] { resolve({.arch = "vit_huge_patch16_224"}); }), "vit_huge_patch16_224"));
  CHECK(has(message_of([] { resolve({.arch = "vit_tiny_patch16_225"}); }), "image_size"));
  CHECK(has(message_of([] { resolve({.arch = "", .image_size = 32}); }), "patch = 0"));
  CHECK(has(message_of([] { resolve({"", 32, 8, 33, 2, 2, 5, 4}); }), "heads"));
}

TEST_CASE("a seed makes a ViT, with deviations of 0.02 in its linear layers and class tokens near 0") {
  const auto make = [](std::uint64_t seed) {
    at::manual_seed(seed);
    return copy_of(*Vit(VitOptions{.arch = "vit_tiny_patch16_224", .depth = 1}));
  };
  const Tensors a = make(1), b = make(1), c = make(2);
  for (const auto& [name, tensor] : a) CHECK_MESSAGE(at::equal(tensor, b.at(name)), name);
  CHECK_FALSE(at::equal(a.at("head.weight"), c.at("head.weight")));
  // 110592 draws: the deviation's own deviation is 0.02 / sqrt(2 * 110592) = 4.3e-5.
  CHECK(a.at("blocks.0.attn.qkv.weight").std().item<double>() == doctest::Approx(0.02).epsilon(0.01));
  CHECK(a.at("blocks.0.attn.qkv.bias").abs().max().item<double>() == 0);
  CHECK(a.at("cls_token").abs().max().item<double>() < 1e-5);
  CHECK(a.at("pos_embed").sizes() == at::IntArrayRef({1, 197, 192}));
}

TEST_CASE("taps come in the order asked for, and change nothing else") {
  Vit model(small_vit());
  const at::NoGradGuard no_grad;
  const auto x = at::randn({2, 3, 32, 32});
  const auto plain = model->forward(x), tapped = model->forward(x, {{1, 0}, {1}, true});
  CHECK(at::equal(plain.logits, tapped.logits));
  CHECK(plain.features.empty());
  CHECK(at::equal(tapped.features[1], model->forward(x, {{0}, {}, true}).features[0]));
  CHECK(tapped.features[0].sizes() == at::IntArrayRef({2, 32, 4, 4}));
  CHECK(tapped.features[0].is_contiguous());
  CHECK(tapped.attentions[0].sizes() == at::IntArrayRef({2, 2, 4, 4}));
  CHECK(tapped.attentions[0].flatten(2).sum(2).max().item<double>() < 1);  // the class token keeps the rest
  CHECK(has(message_of([&] { model->forward(x, {{2}, {}, true}); }), "block 2"));
  CHECK(has(message_of([&] { model->forward(at::zeros({1, 3, 32, 40})); }), "40"));
}

TEST_CASE("autocast computes in 16 bits inside its scope and in FP32 outside and in a scope that turns it off") {
  const auto a = at::randn({4, 4});
  const auto type = [&] { return at::matmul(a, a).scalar_type(); };
  CHECK((type() == at::kFloat));
  {
    const Autocast on(at::kCPU, at::kBFloat16);
    CHECK((type() == at::kBFloat16));
    {
      const Autocast off(at::kCPU, at::kFloat);
      CHECK((type() == at::kFloat));
    }
    CHECK((type() == at::kBFloat16));
  }
  CHECK((type() == at::kFloat));
}

TEST_CASE("models under autocast hand out FP32 near their FP32 outputs, and not the same") {
  at::manual_seed(4);
  Vit vit(small_vit());
  ResNet resnet("resnet18", 5);
  resnet->eval();
  const at::NoGradGuard no_grad;
  const auto x = at::randn({2, 3, 32, 32});
  const auto exact = vit->forward(x, {{1}, {0}, true});
  const auto exact_resnet = resnet->forward(x).logits;
  const Autocast on(at::kCPU, at::kBFloat16);
  const auto rough = vit->forward(x, {{1}, {0}, true});
  const auto rough_resnet = resnet->forward(x).logits;
  const auto check_near = [](const at::Tensor& r, const at::Tensor& e) {
    CHECK((r.scalar_type() == at::kFloat));
    CHECK_FALSE(at::equal(r, e));
    CHECK((r - e).norm().item<double>() < 0.05 * e.norm().item<double>());  // BF16 has 8 bits
  };
  check_near(rough.logits, exact.logits);
  check_near(rough.features[0], exact.features[0]);
  check_near(rough.attentions[0], exact.attentions[0]);
  check_near(rough_resnet, exact_resnet);
}

namespace {

/// The same trunk with a head that hands its input out, so that a test can apply the true head itself.
template <class Model>
at::Tensor trunk_of(Model& model, Model& open_headed, const std::string& head, const at::Tensor& x) {
  Tensors tensors = copy_of(*model);
  const std::int64_t width = tensors.at(head + ".weight").size(1);
  tensors[head + ".weight"] = at::eye(width);
  tensors[head + ".bias"] = at::zeros({width});
  load_weights(*open_headed, tensors, "test");
  open_headed->eval();
  return open_headed->forward(x).logits;
}

/// Logits up to about 12, where BF16 has a grid of 1/16, against the head's product in double.
void check_head(const at::Tensor& logits, const at::Tensor& trunk, const torch::nn::Module& model,
                const std::string& head) {
  const Tensors tensors = state_dict(model);
  const at::Tensor expected = at::linear(trunk.to(at::kDouble), tensors.at(head + ".weight").to(at::kDouble),
                                         tensors.at(head + ".bias").to(at::kDouble));
  REQUIRE(expected.abs().max().item<double>() > 4);
  CHECK((logits.to(at::kDouble) - expected).abs().max().item<double>() < 1e-4);  // FP32: 2^-24 of sums of some hundred
  const at::Tensor off_grid = logits.to(at::kBFloat16).to(at::kFloat).ne(logits).to(at::kFloat);
  CHECK(off_grid.mean().item<double>() > 0.9);
}

}  // namespace

TEST_CASE("heads compute in FP32 inside an autocast: no BF16 grid, and the trunk's own logits") {
  at::manual_seed(6);
  Vit vit(small_vit(50)), open_vit(small_vit(32));
  ResNet resnet("resnet18", 50, 8), open_resnet("resnet18", 64, 8);
  const at::NoGradGuard no_grad;
  state_dict(*vit).at("head.weight").normal_(0, 0.5);
  state_dict(*resnet).at("fc.weight").normal_(0, 1);
  const auto x = at::randn({4, 3, 32, 32});
  resnet->eval();
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf}) {
    const Autocast on(at::kCPU, type);
    check_head(vit->forward(x).logits, trunk_of(vit, open_vit, "head", x), *vit, "head");
    check_head(resnet->forward(x).logits, trunk_of(resnet, open_resnet, "fc", x), *resnet, "fc");
  }
}

TEST_CASE("loading is strict and names what does not fit; a refused file changes nothing") {
  Vit model(small_vit());
  const Tensors before = copy_of(*model), good = copy_of(*Vit(small_vit()));
  const auto refusal = [&](const Tensors& tensors) {
    return message_of([&] { load_weights(*model, tensors, "file.safetensors"); });
  };
  Tensors missing = good, unexpected = good, misshapen = good;
  missing.erase("norm.bias");
  unexpected["dist_token"] = at::zeros({1});
  misshapen["norm.bias"] = at::zeros({33});
  CHECK(has(refusal(missing), "file.safetensors: tensor \"norm.bias\" of shape [32] is missing"));
  CHECK(has(refusal(unexpected), "\"dist_token\""));
  CHECK(has(refusal(misshapen), "\"norm.bias\" has shape [33], the model needs [32]"));
  for (const auto& [name, tensor] : before) CHECK_MESSAGE(at::equal(tensor, state_dict(*model).at(name)), name);
  CHECK(refusal(good) == "");
  CHECK(at::equal(state_dict(*model).at("norm.bias"), good.at("norm.bias")));
}

TEST_CASE("16-bit weights become FP32") {
  Vit model(small_vit());
  Tensors half = copy_of(*model);
  for (auto& [name, tensor] : half) tensor = tensor.to(at::kHalf);
  load_weights(*model, half, "file");
  CHECK((model->named_parameters()["head.weight"].scalar_type() == at::kFloat));
  CHECK(at::equal(state_dict(*model).at("head.weight"), half.at("head.weight").to(at::kFloat)));
}

TEST_CASE("a head of another size stays as it was and is reported, where the caller allows it") {
  Vit model(small_vit(5));
  const Tensors before = copy_of(*model), other = copy_of(*Vit(small_vit(7)));
  CHECK(has(message_of([&] { load_weights(*model, other, "file"); }), "head"));
  const LoadReport report = load_weights(*model, other, "file", "head");
  CHECK(report.head_replaced);
  CHECK(has(report.note, "7 classes"));
  CHECK(at::equal(state_dict(*model).at("head.weight"), before.at("head.weight")));
  CHECK(at::equal(state_dict(*model).at("blocks.1.mlp.fc2.weight"), other.at("blocks.1.mlp.fc2.weight")));
  CHECK_FALSE(load_weights(*model, before, "file", "head").head_replaced);
}

TEST_CASE("ResNets have their widths and stages, and other names are refused") {
  ResNet model("resnet50", 3);
  CHECK(model->widths() == std::array<int, 4>{256, 512, 1024, 2048});
  CHECK(ResNet("resnet18", 3)->widths() == std::array<int, 4>{64, 128, 256, 512});
  const at::NoGradGuard no_grad;
  const auto outputs = model->forward(at::randn({2, 3, 64, 64}));
  CHECK(outputs.stages[2].sizes() == at::IntArrayRef({2, 1024, 4, 4}));
  CHECK(has(message_of([] { ResNet("resnet19", 3); }), "resnet19"));
}

TEST_CASE("the CPU is always there without the CUDA half of torch, unknown devices are refused") {
  CHECK(select_device("cpu") == c10::Device(at::kCPU));
  const std::string loaded = vitrine::testing::read_whole("/proc/self/maps");
  CHECK(has(loaded, "libtorch_cpu"));
  CHECK_FALSE(has(loaded, "libtorch_cuda"));
  for (const char* name : {"gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:0x", ""})
    CHECK(has(message_of([&] { select_device(name); }), "unknown device"));
}

TEST_CASE("1x1 convolutions of any channels have the outputs and gradients of Conv2d in double precision") {
  // On AVX2 oneDNN's own backward pass corrupts the heap for the first and the last of these.
  for (const auto& [in, out, stride, bias] :
       std::vector<std::tuple<int, int, int, bool>>{{4, 8, 2, false}, {16, 8, 2, true}, {5, 3, 1, true}}) {
    CAPTURE(in);
    const auto options = torch::nn::Conv2dOptions(in, out, 1).stride(stride).bias(bias);
    Convolution layer(options);
    torch::nn::Conv2d exact(options);
    exact->to(at::kDouble);
    {
      const at::NoGradGuard no_grad;
      exact->weight.copy_(layer->weight);
      if (bias) exact->bias.copy_(layer->bias);
    }
    const at::Tensor x = at::randn({20, in, 7, 6}).contiguous(at::MemoryFormat::ChannelsLast).requires_grad_();
    const at::Tensor same = x.detach().to(at::kDouble).requires_grad_();
    const at::Tensor y = layer(x), expected = exact(same);
    REQUIRE(y.sizes() == expected.sizes());
    CHECK(at::allclose(y.to(at::kDouble), expected, 1e-5, 1e-5));
    y.square().sum().backward();
    expected.square().sum().backward();
    CHECK(at::allclose(x.grad().to(at::kDouble), same.grad(), 1e-4, 1e-4));
    CHECK(at::allclose(layer->weight.grad().to(at::kDouble), exact->weight.grad(), 1e-4, 1e-3));
    if (bias) CHECK(at::allclose(layer->bias.grad().to(at::kDouble), exact->bias.grad(), 1e-4, 1e-3));
  }
}
