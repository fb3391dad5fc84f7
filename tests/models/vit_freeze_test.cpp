// The frozen ViT: weights cast and packed once.
#include <torch/nn/modules/normalization.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <limits>
#include <thread>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/vit/attention.h"
#include "common/models/vit/residual.h"
#include "common/models/vit/dense.h"
#include "common/models/vit/vit.h"
#include "tests/models/samples.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::distance;

namespace {

VitStructure base() {
  return structure_of(VitOptions{"", 32, 8, 64, 3, 4, 50, 4});
}

/// One of each kind of layer that freezing treats in its own way.
std::vector<std::pair<const char*, VitStructure>> structures() {
  std::vector<std::pair<const char*, VitStructure>> out{{"plain", base()}};
  const auto add = [&](const char* name, const auto& change) {
    VitStructure structure = base();
    change(structure);
    out.emplace_back(name, structure);
  };
  add("beit", [](VitStructure& s) {
    s.relative_positions = true, s.positions = VitPositions::kNone, s.qkv = VitQkv::kFusedQvBias;
    s.layer_scale = VitLayerScale::kGamma, s.pooling = VitPooling::kMean;
  });
  add("eva02", [](VitStructure& s) {
    s.qkv = VitQkv::kSplit, s.mlp = VitMlp::kSwigluSplit, s.mlp_norm = s.attention_norm = true;
    s.activation = VitActivation::kSilu, s.rope = VitRope::kCat, s.rope_temperature = 1e4;
  });
  add("dinov2 giant", [](VitStructure& s) {
    s.mlp = VitMlp::kSwigluPacked, s.activation = VitActivation::kSilu, s.layer_scale = VitLayerScale::kLs;
    s.registers = 4, s.positions = VitPositions::kPatches;
  });
  add("clip",
      [](VitStructure& s) { s.norm_pre = true, s.patch_bias = false, s.activation = VitActivation::kQuickGelu; });
  add("siglip", [](VitStructure& s) {
    s.class_token = false, s.pooling = VitPooling::kAttention, s.pool_heads = 4, s.pool_hidden = 128;
    s.activation = VitActivation::kGeluTanh;
  });
  return out;
}

/// Weights far from the flat attention and thin branches of a fresh network.
Vit make(const VitStructure& structure) {
  at::manual_seed(5);
  Vit vit(structure);
  const at::NoGradGuard no_grad;
  for (auto& item : vit->named_parameters()) {
    const bool scale = item.key().find("gamma") != std::string::npos ||
                       (item.key().find("norm") != std::string::npos && item.value().dim() == 1);
    item.value().normal_(scale && !item.key().ends_with("bias") ? 1 : 0, item.value().dim() == 1 ? 0.1 : 0.15);
  }
  vit->eval();
  return vit;
}

std::vector<at::Tensor> outputs(Vit& vit, const at::Tensor& x) {
  const VitOutputs out = vit->forward(x, {{0, 2}, {1, 2}, true});
  std::vector<at::Tensor> all{out.logits, out.pooled};
  all.insert(all.end(), out.features.begin(), out.features.end());
  all.insert(all.end(), out.attentions.begin(), out.attentions.end());
  return all;
}

}  // namespace

TEST_CASE("a frozen ViT is as near to FP32 as autocast, with outputs of the same form") {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({16, 3, 32, 32});
  for (const at::ScalarType type : {at::kBFloat16, at::kHalf})
    for (const auto& [name, structure] : structures()) {
      CAPTURE(name);
      const std::string type_name = c10::toString(type);
      CAPTURE(type_name);
      Vit vit = make(structure);
      const auto exact = outputs(vit, x);
      const auto rough = [&] {
        const Autocast on(at::kCPU, type);
        return outputs(vit, x);
      }();
      vit->freeze(type);
      const auto frozen = outputs(vit, x);
      double ours = 0, autocast = 0;
      for (std::size_t i = 0; i < exact.size(); ++i) {
        CAPTURE(i);
        CHECK((frozen[i].scalar_type() == at::kFloat));
        CHECK(frozen[i].sizes() == exact[i].sizes());
        CHECK(distance(frozen[i], exact[i]) > 1e-5);  // in 16 bits
        CHECK(distance(frozen[i], exact[i]) < 1.5 * distance(rough[i], exact[i]));
        ours += distance(frozen[i], exact[i]);
        autocast += distance(rough[i], exact[i]);
      }
      CHECK(ours < 1.1 * autocast);
    }
}

TEST_CASE("a frozen ViT gives the same bits inside an autocast and on every thread") {
  at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({4, 3, 32, 32});
  for (const auto& [name, structure] : structures()) {
    CAPTURE(name);
    Vit vit = make(structure);
    vit->freeze(at::kBFloat16);
    const auto expected = outputs(vit, x);
    std::vector<std::vector<at::Tensor>> others(3);
    std::vector<std::thread> threads;
    for (auto& other : others)
      threads.emplace_back([&] {
        at::set_num_threads(1);
        const at::NoGradGuard here;
        const Autocast on(at::kCPU, at::kBFloat16);
        other = outputs(vit, x);
      });
    for (std::thread& thread : threads) thread.join();
    for (const auto& other : others)
      for (std::size_t i = 0; i < expected.size(); ++i) CHECK(at::equal(other[i], expected[i]));
  }
}

TEST_CASE("freezing to FP32 changes only the rounding, and a view does not depend on its neighbours") {
  at::set_num_threads(1);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({4, 3, 32, 32});
  for (const auto& [name, structure] : structures()) {
    CAPTURE(name);
    Vit vit = make(structure);
    const auto before = outputs(vit, x);
    vit->freeze(at::kFloat);
    CHECK(vit->named_parameters()["blocks.0.mlp.fc2.weight"].numel() == 0);
    const auto after = outputs(vit, x);
    for (std::size_t i = 0; i < before.size(); ++i) CHECK(distance(after[i], before[i]) < 1e-5);
    const at::Tensor others = at::cat({x.narrow(0, 0, 1), at::randn({3, 3, 32, 32})});
    const auto changed = outputs(vit, others);
    for (std::size_t i = 0; i < after.size(); ++i) CHECK(at::equal(changed[i][0], after[i][0]));
  }
}

TEST_CASE("products are never less precise than asked for, and FP32 stays FP32") {
  CHECK((fastest_product_type(at::kFloat, at::kCPU) == at::kFloat));
  CHECK((fastest_product_type(at::kHalf, at::kCPU) == at::kHalf));
  CHECK((fastest_product_type(at::kBFloat16, c10::Device(at::kCUDA, 0)) == at::kBFloat16));
  const at::ScalarType chosen = fastest_product_type(at::kBFloat16, at::kCPU);
  CHECK((chosen == at::kBFloat16 || chosen == at::kFloat));
}

TEST_CASE("a branch is added and the sum normalised, rows of any width, in FP32 and for BF16 products") {
  at::manual_seed(4);
  for (const std::int64_t dim : {8, 16, 17, 100, 192})
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16})
      for (const bool adds : {false, true}) {
        CAPTURE(dim);
        CAPTURE(type);
        CAPTURE(adds);
        const LayerNormPtr norm =
            std::make_shared<torch::nn::LayerNormImpl>(torch::nn::LayerNormOptions({dim}).eps(1e-6));
        const at::NoGradGuard no_grad;
        norm->weight.normal_(), norm->bias.normal_();
        const at::Tensor x = 3 * at::randn({2, 5, dim}) + 7,
                         branch = adds ? at::randn({2, 5, dim}).to(type) : at::Tensor();
        const at::Tensor sum = adds ? x + branch.to(at::kFloat) : x.clone(), only_added = x.clone();
        const at::Tensor expected =
            at::layer_norm(sum.to(at::kDouble), {dim}, norm->weight.to(at::kDouble), norm->bias.to(at::kDouble), 1e-6);
        const at::Tensor made = add_and_normalise(x, branch, norm, type);
        CHECK(at::equal(x, sum));
        CHECK(distance(made, expected) < (made.scalar_type() == at::kFloat ? 1e-6 : 3e-3));
        add_branch(only_added, branch);
        CHECK(at::equal(only_added, sum));
      }
}

TEST_CASE("attention equals its definition for all sizes, strides and biases") {
  at::set_num_threads(1);
  at::manual_seed(3);
  for (const auto& [tokens, width] :
       {std::pair{1, 16}, {5, 64}, {6, 8}, {17, 72}, {37, 64}, {50, 80}, {197, 64}, {70, 100}})
    for (const bool biased : {false, true}) {
      CAPTURE(tokens);
      CAPTURE(width);
      CAPTURE(biased);
      const at::Tensor qkv = at::randn({2, tokens, 3, 3, width}).permute({2, 0, 3, 1, 4});
      const at::Tensor bias = biased ? 3 * at::randn({1, 3, tokens, tokens}) : at::Tensor();
      at::Tensor scores = at::matmul(qkv[0].to(at::kDouble), qkv[1].to(at::kDouble).transpose(2, 3));
      if (biased) scores = scores + bias;
      const at::Tensor expected =
          at::matmul(at::softmax(scores, -1), qkv[2].to(at::kDouble)).transpose(1, 2).flatten(2);
      for (const auto& attention : {fused_attention, composed_attention}) {
        const at::Tensor made = attention(qkv[0], qkv[1], qkv[2], bias);
        CHECK(made.is_contiguous());
        CHECK(distance(made.to(at::kDouble), expected) < 1e-5);
      }
    }
}

TEST_CASE(
    "attention of BF16 values is as near to its definition as their rounding, for all sizes, strides and biases") {
  at::set_num_threads(1);
  at::manual_seed(5);
  for (const auto& [tokens, width] :
       {std::pair{5, 64}, {6, 8}, {17, 72}, {37, 64}, {50, 80}, {129, 64}, {197, 64}, {260, 100}, {40, 15}})
    for (const bool biased : {false, true}) {
      CAPTURE(tokens);
      CAPTURE(width);
      CAPTURE(biased);
      const at::Tensor qkv = at::randn({2, tokens, 3, 3, width}).to(at::kBFloat16).permute({2, 0, 3, 1, 4});
      const at::Tensor bias = biased ? 3 * at::randn({1, 3, tokens, tokens}) : at::Tensor();
      at::Tensor scores = at::matmul(qkv[0].to(at::kDouble), qkv[1].to(at::kDouble).transpose(2, 3));
      if (biased) scores = scores + bias;
      const at::Tensor expected =
          at::matmul(at::softmax(scores, -1), qkv[2].to(at::kDouble)).transpose(1, 2).flatten(2);
      const at::Tensor made = fused_attention(qkv[0], qkv[1], qkv[2], bias);
      CHECK(made.is_contiguous());
      CHECK((made.scalar_type() == at::kBFloat16));
      const double own = distance(made.to(at::kDouble), expected),
                   composed = distance(composed_attention(qkv[0], qkv[1], qkv[2], bias).to(at::kDouble), expected);
      CHECK(own < 0.01);
      CHECK(own <= composed);
    }
  // A view's bits do not depend on the others.
  const at::Tensor x = at::randn({3, 2, 33, 16}).to(at::kBFloat16);
  CHECK(at::equal(fused_attention(x, x, x, {})[1],
                  fused_attention(x[1].unsqueeze(0), x[1].unsqueeze(0), x[1].unsqueeze(0), {})[0]));
}

TEST_CASE("attention passes on what is not finite, and takes scores of any size") {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    CAPTURE(type);
    const at::Tensor x = at::randn({1, 1, 41, 16}).to(type), huge = 1e4 * x;
    CHECK(at::isfinite(fused_attention(huge, huge, x, {})).all().item<bool>());
    at::Tensor broken = x.clone();
    broken[0][0][7][3] = std::numeric_limits<float>::quiet_NaN();
    const at::Tensor by_query = at::isnan(fused_attention(broken, x, x, {})).all(2)[0];
    CHECK(by_query[7].item<bool>());
    CHECK(by_query.sum().item<std::int64_t>() == 1);
    CHECK(at::isnan(fused_attention(x, broken, x, {})).all().item<bool>());
  }
}
