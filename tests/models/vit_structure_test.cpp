// The structure of a ViT: as JSON, and read from weights.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/models/weights/load.h"
#include "common/models/vit/architectures.h"
#include "common/models/vit/read_structure.h"
#include "common/models/vit/resample.h"
#include "common/models/vit/vit.h"
#include "tests/models/samples.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::copy_of;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

VitStructure dinov3() {
  VitStructure out = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  out.classes = 0;
  out.registers = 4;
  out.positions = VitPositions::kNone;
  out.rope = VitRope::kDinov3;
  out.rope_temperature = 100;
  out.rope_half = true;
  out.qkv_bias = false;
  out.layer_scale = VitLayerScale::kGamma;
  out.pooling = VitPooling::kMean;
  out.eps = 1e-5;
  return out;
}

VitStructure siglip() {
  VitStructure out = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  out.class_token = false;
  out.pooling = VitPooling::kAttention;
  out.pool_heads = 2;
  out.pool_hidden = 128;
  return out;
}

Tensors weights_of(const VitStructure& structure) {
  return copy_of(*Vit(structure));
}

/// How JSON is refused.
std::pair<ErrorKind, std::string> structure_refusal(const nlohmann::ordered_json& json) {
  try {
    vit_structure_from_json(json, "track.json");
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {ErrorKind::kInternal, ""};
}

}  // namespace

TEST_CASE("a structure comes back from its JSON, and a ViT from structure and weights") {
  for (const VitStructure& structure : {structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4}), dinov3(), siglip()}) {
    const auto json = nlohmann::ordered_json::parse(to_json(structure).dump());
    CHECK(vit_structure_from_json(json, "test") == structure);
    CHECK(json.at("eps") == structure.eps);
  }
  CHECK_FALSE(dinov3() == siglip());
}

TEST_CASE("a structure from a file is checked: newer and damaged ones are different errors") {
  const auto good = to_json(dinov3());
  const auto with = [&](const char* key, const nlohmann::ordered_json& value) {
    auto out = good;
    out[key] = value;
    return structure_refusal(out);
  };
  using Kind = ErrorKind;
  const auto check = [](const std::pair<Kind, std::string>& refused, Kind kind, const char* part) {
    CAPTURE(refused.second);
    CHECK((refused.first == kind));
    CHECK(has(refused.second, part));
    CHECK(refused.second.starts_with("track.json: "));
  };
  check(with("gating", true), Kind::kNewer, "unknown field \"gating\"");
  check(with("rope", "spiral"), Kind::kNewer, "rope = \"spiral\", which this version does not support");
  check(with("rope", 3), Kind::kCorrupt, "rope = 3, which is not allowed");
  check(with("dim", 32.5), Kind::kCorrupt, "dim = 32.5");
  check(with("dim", -1), Kind::kCorrupt, "dim = -1");
  check(with("dim", true), Kind::kCorrupt, "dim = true");
  check(with("depth", std::int64_t{1} << 40), Kind::kCorrupt, "depth");
  check(with("eps", 0), Kind::kCorrupt, "eps = 0");
  check(with("class_token", "yes"), Kind::kCorrupt, "class_token");
  check(with("image_size", 33), Kind::kCorrupt, "image_size = 33, which patch = 8 does not divide");
  check(with("head_dim", 6), Kind::kCorrupt, "multiple of 4");
  check(with("pooling", "attention"), Kind::kCorrupt, "attention pool");
  check(with("relative_positions", true), Kind::kCorrupt, "relative positions");
  auto missing = good;
  missing.erase("heads");
  check(structure_refusal(missing), Kind::kCorrupt, "no heads");
  check(structure_refusal(nlohmann::ordered_json::array()), Kind::kCorrupt, "not an object");
}

TEST_CASE("weights give their structure, and what they do not tell is said") {
  const VitReading plain = structure_of(weights_of(structure_of(VitOptions{"", 32, 8, 128, 1, 2, 5, 4})), {}, "file");
  CHECK(plain.structure == structure_of(VitOptions{"", 32, 8, 128, 1, 2, 5, 4}));
  CHECK(plain.assumed == std::vector<std::string>{"heads 2 (dim 128 / 64)", "activation gelu"});
  const VitReading v3 = structure_of(weights_of(dinov3()), {.image_size = 32, .heads = 2}, "file");
  CHECK(v3.structure == dinov3());
  CHECK(v3.assumed.size() == 2);
  CHECK(has(v3.assumed[0], "pooling mean of patches"));
  CHECK((structure_of(weights_of(dinov3()), {.heads = 2, .pooling = "class"}, "file").structure.pooling ==
         VitPooling::kClass));
  CHECK(structure_of(weights_of(dinov3()), {.heads = 2}, "file").structure.image_size == 256);
  const VitReading pool = structure_of(weights_of(siglip()), {.heads = 2, .activation = "gelu"}, "file");
  CHECK(pool.structure == siglip());
  CHECK(pool.assumed.empty());
  CHECK(structure_of(weights_of(siglip()), {.image_size = 48, .heads = 2}, "file").structure.image_size == 48);
}

TEST_CASE("the eps that a card says is taken, and said where it is not the family's") {
  const Tensors weights = weights_of(structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4}));
  const auto reading = [&](double eps) { return structure_of(weights, {.heads = 2, .eps = eps}, "file"); };
  CHECK(reading(0).structure.eps == 1e-6);
  CHECK(reading(1e-6).notes.empty());
  CHECK(reading(1e-12).structure.eps == 1e-12);
  CHECK(reading(1e-12).notes ==
        std::vector<std::string>{"the LayerNorms' eps is 1e-12 as its card says, not this family's 1e-06"});
}

TEST_CASE(
    "OpenCLIP's final norm is before or after the pooling, as its card says or the norm before the blocks shows") {
  const VitStructure plain = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  VitStructure clip = plain, clipa = plain;
  clip.norm_pre = true;
  clip.eps = clipa.eps = 1e-5;
  clipa.norm = false;
  clipa.fc_norm = true;
  clipa.pooling = VitPooling::kMean;
  const auto reading = [](const VitStructure& structure, VitHints hints) {
    hints.heads = 2;
    hints.naming = "OpenAI CLIP or OpenCLIP";
    return structure_of(weights_of(structure), hints, "file");
  };
  CHECK(reading(clip, {}).structure == clip);
  CHECK(reading(plain, {.pooling = "mean", .norm_after_pooling = true}).structure == clipa);
  CHECK(reading(plain, {}).structure == clipa);
  CHECK(has(reading(plain, {}).assumed[0], "pooling mean of patches, as in CLIPA"));
  VitStructure early = clipa;
  early.norm = true;
  early.fc_norm = false;
  CHECK(reading(plain, {.pooling = "mean", .norm_after_pooling = false}).structure == early);
  VitStructure late = clipa;
  late.norm_pre = true;
  CHECK(reading(clip, {.pooling = "mean", .norm_after_pooling = true}).structure == late);
  CHECK((reading(plain, {.pooling = "class", .norm_after_pooling = true}).structure.pooling == VitPooling::kClass));
}

TEST_CASE("weights that may be DeiT-III's or a RoPE-ViT's are said to be taken without rotary positions") {
  VitStructure deit3 = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  deit3.layer_scale = VitLayerScale::kLs;
  deit3.positions = VitPositions::kPatches;
  const auto assumed = [&](const char* arch) {
    VitHints hints{.arch = arch, .heads = 2, .activation = "gelu"};
    hints.dim = 32, hints.depth = 2;
    return structure_of(weights_of(deit3), hints, "file").assumed;
  };
  const std::vector<std::string> expected{"no rotary positions (a RoPE-ViT with pos_embed has them)"};
  CHECK(assumed("") == expected);
  CHECK(assumed("deit3_small_patch16_224").empty());
  CHECK(assumed("vit_small_patch16_rope_ape_224").empty());
}

TEST_CASE("a distilled ViT with one head pools its class token, one with two or none both tokens") {
  VitStructure two = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  two.distillation_token = true;
  two.pooling = VitPooling::kClassAndDistilled;
  Tensors weights = weights_of(two);
  const auto structure = [&] { return structure_of(weights, {.heads = 2}, "file").structure; };
  CHECK(structure() == two);
  weights.erase("head_dist.weight");
  weights.erase("head_dist.bias");
  VitStructure one = two;
  one.pooling = VitPooling::kClass;
  CHECK(structure() == one);
  load_weights(*Vit(one), weights, "file");
  weights.erase("head.weight");
  weights.erase("head.bias");
  CHECK((structure().pooling == VitPooling::kClassAndDistilled));
}

TEST_CASE("an unknown architecture is reported separately, not among what the tensors do not show") {
  const VitReading reading = structure_of(weights_of(structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4})),
                                          {.arch = "mine", .heads = 2}, "file");
  CHECK(reading.notes ==
        std::vector<std::string>{"the architecture \"mine\" is not known; its structure is taken from the weights"});
  CHECK(reading.assumed == std::vector<std::string>{"activation gelu"});
  // Words in it mean something in timm's names only.
  CHECK_FALSE(find_architecture("my_xp_model", "file"));
  CHECK(
      has(message_of([] { find_architecture("vit_large_patch14_xp_224", "file"); }), "parallel branches and RMSNorm"));
  CHECK(has(message_of([] { find_architecture("aimv2_large_patch14_224", "file"); }), "RMSNorm"));
}

TEST_CASE("sizes given with an architecture's name override those that the name stands for") {
  const VitStructure small = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  const Tensors weights = weights_of(small);
  VitHints hints{.arch = "vit_tiny_patch16_224", .arch_source = "config.json", .dim = 32, .depth = 2, .heads = 2};
  VitStructure expected = small;
  expected.arch = hints.arch;
  CHECK(structure_of(weights, hints, "file").structure == expected);
  hints.dim = 48;
  const std::string message = message_of([&] { structure_of(weights, hints, "file"); });
  CHECK(
      has(message, "file: config.json says vit_tiny_patch16_224, which has dim 48 and depth 2 there; the file looks"));
  CHECK(has(message, "or set teacher.arch to theirs"));
  hints.arch = "custom";
  CHECK(structure_of(weights, hints, "file").structure.dim == 32);
}

TEST_CASE("heads and an activation that are not those of the architecture's name are noted, and count") {
  const VitStructure tiny = structure_of(VitOptions{"vit_tiny_patch16_224", 32, 8, 0, 0, 0, 5, 1});
  const Tensors weights = weights_of(tiny);
  const auto reading = [&](int heads, const char* activation) {
    return structure_of(weights, {.arch = "vit_tiny_patch16_224", .heads = heads, .activation = activation}, "file");
  };
  CHECK(reading(0, "").notes.empty());
  CHECK(reading(3, "gelu").notes.empty());
  CHECK(reading(4, "").structure.heads == 4);
  CHECK(reading(4, "").notes == std::vector<std::string>{"heads = 4, although vit_tiny_patch16_224 has 3"});
  CHECK(reading(0, "quick_gelu").notes ==
        std::vector<std::string>{"activation = quick_gelu, although vit_tiny_patch16_224 has gelu"});
}

TEST_CASE("weights that do not fit the hints are refused in a sentence that says what they look like") {
  const Tensors good = weights_of(structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4}));
  const auto refused = [](const Tensors& tensors, const VitHints& hints) {
    return message_of([&] { structure_of(tensors, hints, "w.safetensors"); });
  };
  const auto without = [&](std::initializer_list<const char*> names) {
    Tensors out = good;
    for (const char* name : names) out.erase(name);
    return out;
  };
  const std::string other = refused(good, {.arch = "vit_base_patch16_224.augreg_in21k"});
  CHECK(
      has(other,
          "w.safetensors: teacher.arch says vit_base_patch16_224, which has dim 768 and depth 12; the file looks like "
          "a ViT"));
  CHECK(has(other, "of dim 32, depth 2, patch 8, image_size 32, classes 5"));
  CHECK(has(other, "give the weights of that architecture, or leave out teacher.arch"));
  CHECK(has(refused(good, {.arch = "vit_base_patch16_rpn_224"}), "norms after its branches"));
  CHECK(has(refused(without({"norm.weight", "norm.bias"}), {.heads = 2}),
            "norm.weight and fc_norm.weight are both missing"));
  CHECK(has(refused(good, {}), "the number of heads is not known for dim 32"));
  CHECK(has(refused(good, {}), "set teacher.heads"));
  CHECK(has(refused(good, {.heads = 3}), "heads = 3 does not divide the attention's width, 32"));
  CHECK(has(refused(good, {.image_size = 36, .heads = 2}), "image_size = 36 is not a multiple of the patch, 8"));
  CHECK(has(refused(good, {.heads = 2, .activation = "relu"}), "w.safetensors: activation = \"relu\""));
  CHECK(
      has(refused(good, {.heads = 2, .pooling = "max"}), "w.safetensors: pooling = \"max\" is not supported; choose"));
  CHECK(has(refused(weights_of(siglip()), {.heads = 2, .pooling = "avgmax"}), "pooling = \"avgmax\""));
  CHECK(has(refused(good, {.heads = 2, .pooling = "attention"}), "without an attention pool, which the weights lack"));
  CHECK(structure_of(weights_of(siglip()), {.heads = 2, .pooling = "attention"}, "file").structure == siglip());
  CHECK(has(refused(without({"patch_embed.proj.weight"}), {.heads = 2}), "\"patch_embed.proj.weight\" is missing"));
  CHECK(has(refused(without({"blocks.0.norm1.bias"}), {.heads = 2}), "RMSNorm"));
  Tensors odd = good;
  odd["pos_embed"] = at::zeros({1, 19, 32});
  CHECK(has(refused(odd, {.heads = 2}), "pos_embed has 19 rows"));
  odd["patch_embed.proj.weight"] = at::zeros({32, 3, 0, 0});
  CHECK(has(refused(odd, {.heads = 2}), "dimension of 0"));
}

TEST_CASE("resampled weights load for another size, and weights of the right size are not touched") {
  const VitStructure plain = structure_of(VitOptions{"", 32, 8, 32, 2, 2, 5, 4});
  const Tensors weights = weights_of(plain);
  for (const auto& [name, tensor] : resampled(weights, plain)) CHECK(tensor.is_same(weights.at(name)));
  CHECK_FALSE(size_before_resampling(weights, plain));
  VitStructure larger = plain;
  larger.image_size = 72;
  larger.patch = 12;
  const auto own = size_before_resampling(weights, larger);
  REQUIRE(own);
  CHECK(own->image_size == 32);
  CHECK(own->patch == 8);
  VitStructure wide = dinov3();  // without positions
  const Tensors headless = weights_of(wide);
  wide.image_size = 64;
  CHECK_FALSE(size_before_resampling(headless, wide));
  wide.patch = 16;
  CHECK(size_before_resampling(headless, wide)->image_size == 0);
  Vit vit(larger, VitWeights::kUninitialised);
  load_weights(*vit, resampled(weights, larger), "file");
  const Tensors loaded = state_dict(*vit);
  CHECK(at::equal(loaded.at("pos_embed").narrow(1, 0, 1), weights.at("pos_embed").narrow(1, 0, 1)));
  CHECK(loaded.at("pos_embed").size(1) == 37);
  // A constant patch has the same embedding at every patch size: the resized patch is constant too.
  const auto sums = [](const at::Tensor& weight) { return weight.sum({1, 2, 3}); };
  CHECK(at::allclose(sums(loaded.at("patch_embed.proj.weight")), sums(weights.at("patch_embed.proj.weight")), 1e-3,
                     1e-4));
}

TEST_CASE("outputs have the forms that the header says") {
  at::manual_seed(2);
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({2, 3, 32, 32});
  const VitOutputs headless = Vit(dinov3())->forward(x, {{1}, {0, 1}, true});
  CHECK_FALSE(headless.logits.defined());
  CHECK(headless.pooled.sizes() == at::IntArrayRef({2, 32}));
  CHECK(headless.features[0].sizes() == at::IntArrayRef({2, 32, 4, 4}));
  CHECK(headless.attentions[0].sizes() == at::IntArrayRef({2, 2, 4, 4}));
  Vit pool(siglip());
  const VitOutputs all = pool->forward(x, {{}, {0, 1}, true});
  CHECK(all.logits.sizes() == at::IntArrayRef({2, 5}));
  // Without prefix tokens every row sums to 1: the pool's, and the mean of the patches' rows.
  for (const at::Tensor& map : all.attentions) CHECK(at::allclose(map.flatten(2).sum(2), at::ones({2, 2})));
}
