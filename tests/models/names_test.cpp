// What the translation of names refuses. names_peer.py holds every naming against timm.
#include <ATen/ATen.h>

#include "common/models/weights/names.h"

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

using Shape = std::vector<std::int64_t>;

StoredTensors stored(const std::map<std::string, Shape>& shapes) {
  StoredTensors out;
  for (const auto& [name, shape] : shapes) out[name].tensor = at::ones(shape);
  return out;
}

/// transformers' CLIP of one block of width 4.
std::map<std::string, Shape> small_clip() {
  const std::string block = "encoder.layers.0.";
  return {{"embeddings.class_embedding", {4}},
          {"embeddings.patch_embedding.weight", {4, 3, 2, 2}},
          {"embeddings.position_embedding.weight", {5, 4}},
          {"pre_layrnorm.weight", {4}},
          {block + "layer_norm1.weight", {4}},
          {block + "self_attn.q_proj.weight", {4, 4}},
          {block + "self_attn.k_proj.weight", {4, 4}},
          {block + "self_attn.v_proj.weight", {4, 4}},
          {block + "self_attn.q_proj.bias", {4}},
          {block + "self_attn.k_proj.bias", {4}},
          {block + "self_attn.v_proj.bias", {4}},
          {"post_layernorm.weight", {4}}};
}

std::map<std::string, Shape> small_timm(const std::string& prefix = "") {
  return {{prefix + "patch_embed.proj.weight", {4, 3, 2, 2}}, {prefix + "blocks.0.norm1.weight", {4}}};
}

NamedTensors named(const StoredTensors& file) {
  std::vector<std::string> notes;
  return with_timm_names(file, "file", notes);
}

std::string names_refusal(const StoredTensors& file) {
  const std::string message = message_of([&] { named(file); });
  CHECK(message.starts_with("file: "));
  return message;
}

}  // namespace

TEST_CASE("a small model of a foreign naming is read, so that the refusals below have their own reasons") {
  const NamedTensors out = named(stored(small_clip()));
  CHECK(out.naming == "transformers' CLIP");
  CHECK(out.tensors.at("blocks.0.attn.qkv.weight").sizes() == Shape{12, 4});
  CHECK(out.tensors.at("cls_token").sizes() == Shape{1, 1, 4});
  CHECK(out.tensors.at("pos_embed").sizes() == Shape{1, 5, 4});
  for (const auto& [name, tensor] : out.tensors) CHECK(tensor.is_contiguous());
}

TEST_CASE("a foreign file with an unknown, missing or misshapen tensor is refused by its name") {
  const auto refused = [](const std::function<void(std::map<std::string, Shape>&)>& change) {
    std::map<std::string, Shape> shapes = small_clip();
    change(shapes);
    return names_refusal(stored(shapes));
  };
  CHECK(has(refused([](auto& s) { s["encoder.layers.0.self_attn.q_norm.weight"] = {4}; }),
            "tensor \"encoder.layers.0.self_attn.q_norm.weight\" is not part of a model with the names of "
            "transformers' CLIP"));
  CHECK(has(refused([](auto& s) { s["embeddings.norm.weight"] = {4}; }), "\"embeddings.norm.weight\" is not part"));
  CHECK(has(refused([](auto& s) { s.erase("encoder.layers.0.self_attn.k_proj.weight"); }),
            "\"blocks.0.attn.\" lacks one of query, key and value"));
  CHECK(has(refused([](auto& s) { s.erase("encoder.layers.0.self_attn.v_proj.bias"); }), "a bias for only some"));
  CHECK(has(refused([](auto& s) { s["encoder.layers.0.self_attn.k_proj.weight"] = {4, 3}; }), "of equal width"));
  CHECK(has(refused([](auto& s) { s["encoder.layers.0.self_attn.k_proj.weight"] = {16}; }), "of equal width"));
  CHECK(has(refused([](auto& s) { s["embeddings.class_embedding"] = {1, 4}; }), "has shape [1, 4], expected [dim]"));
  CHECK(has(refused([](auto& s) { s["embeddings.position_embedding.weight"] = {20}; }), "expected [tokens, dim]"));
}

TEST_CASE("a tensor that cannot be read is an error only where the model needs it") {
  StoredTensors file = stored(small_clip());
  for (auto one : stored(small_clip())) file["vision_model." + one.first] = one.second;
  std::erase_if(file, [](const auto& item) { return !item.first.starts_with("vision_model."); });
  file["text_model.a"].unusable = "has dtype F8_E4M3";
  CHECK(named(file).tensors.size() == 8);
  file["vision_model.post_layernorm.weight"] = {{}, "has dtype F8_E4M3"};
  CHECK(has(names_refusal(file), "tensor \"vision_model.post_layernorm.weight\" has dtype F8_E4M3, which is not read"));
  StoredTensors other;
  other["x"].unusable = "has dtype F4";
  CHECK(has(names_refusal(other), "tensor \"x\" has dtype F4"));
}

TEST_CASE("two models of equal rank in one file are refused with both prefixes") {
  std::map<std::string, Shape> shapes = small_timm("a.");
  shapes.merge(small_timm("b."));
  CHECK(has(names_refusal(stored(shapes)), "holds several models, under the prefixes \"a.\" and \"b.\""));
}

TEST_CASE("a registers' model without room for a class position, and two names for one tensor") {
  std::map<std::string, Shape> shapes = small_timm();
  shapes["register_tokens"] = {1, 4, 4};
  shapes["cls_token"] = {1, 1, 4};
  shapes["pos_embed"] = {1, 1, 4};
  CHECK(has(names_refusal(stored(shapes)), "expected [1, 1 + patches, dim]"));
  shapes["pos_embed"] = {1, 5, 3};
  CHECK(has(names_refusal(stored(shapes)), "\"cls_token\" has shape [1, 1, 4]"));
  shapes = small_timm();
  shapes["blocks.0.mlp.w3.weight"] = shapes["blocks.0.mlp.fc2.weight"] = {4, 4};
  CHECK(has(names_refusal(stored(shapes)), "two of its tensors are timm's \"blocks.0.mlp.fc2.weight\""));
}

TEST_CASE("a file without a known ViT keeps its names and its tensors") {
  std::vector<std::string> notes;
  const NamedTensors out = with_timm_names(
      stored({{"module.conv1.weight", {1}}, {"module.layer1.0.conv1.weight", {2}}, {"module.fc.weight", {3}}}), "file",
      notes);
  CHECK(out.naming.empty());
  CHECK(out.tensors.size() == 3);
  CHECK(out.tensors.contains("module.layer1.0.conv1.weight"));
  CHECK(notes.empty());
}
