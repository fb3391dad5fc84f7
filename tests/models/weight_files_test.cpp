// Files that are given as weights and are something else, and weights of other models.
#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <cstring>

#include "common/base/error.h"
#include "common/models/resnet.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/layout.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "tests/models/samples.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::copy_of;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::small_vit;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using std::string_literals::operator""s;

namespace {

struct Refusal {
  ErrorKind kind = ErrorKind::kInternal;
  std::string sentence;
};

/// How a file of these bytes is refused.
Refusal refusal_by_kind(const std::string& bytes) {
  const TemporaryDirectory directory;
  write_whole(directory / "weights.safetensors", bytes);
  try {
    load_safetensors(directory / "weights.safetensors");
  } catch (const Error& error) {
    return {error.kind(), error.what()};
  }
  return {};
}

void check_named(const std::string& bytes, const char* what, const char* remedy) {
  const Refusal refused = refusal_by_kind(bytes);
  CAPTURE(refused.sentence);
  CHECK((refused.kind == ErrorKind::kInput));
  CHECK(has(refused.sentence, text("weights.safetensors: ", what).c_str()));
  CHECK(has(refused.sentence, remedy));
}

Tensors behind(const std::string& prefix, const Tensors& tensors) {
  Tensors out;
  for (const auto& [name, tensor] : tensors) out[prefix + name] = tensor;
  return out;
}

/// How a small ViT refuses tensors.
std::string vit_refusal(const Tensors& tensors) {
  Vit model(small_vit());
  return message_of([&] { load_weights(*model, tensors, "file"); });
}

}  // namespace

TEST_CASE("files of other formats are called by their name, with the next step") {
  check_named("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 346284714\n",
              "is a Git LFS pointer to a file of 346284714 bytes, not the file itself", "git lfs pull");
  check_named("<!DOCTYPE html>\n<html><head>", "is a web page", "/resolve/");
  check_named("\n  <HTML lang=\"en\">", "is a web page", "download the file itself");
  check_named("PK\3\4\0\0\b\b\0\0\0\0"s + "archive/data.pkl" + std::string(100, '\0'),
              "is a PyTorch checkpoint (torch.save)", "safetensors.torch.save_file");
  check_named("PK\3\4\0\0\b\b\0\0\0\0"s + "m/code/x.py m/constants.pkl m/data.pkl" + std::string(100, '\0'),
              "is a TorchScript module", "state_dict()");
  check_named("PK\3\4\0\0\b\b\0\0\0\0"s + "m/data/aotinductor/model/a.so m/archive_format" + std::string(100, '\0'),
              "is a model of torch.export (.pt2)", "made from");
  check_named("PK\3\4\24\0\0\0"s + "model.weights.h5" + std::string(100, '\0'), "is a Keras model", "made from");
  check_named("PK\3\4\24\0\0\0"s + "a.txt" + std::string(100, '\0'), "is a zip archive", "unpack it");
  check_named("\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."s, "is a PyTorch checkpoint in the old format", "torch.load");
  check_named("\x80\4\x95\x10\0\0\0\0\0\0\0}"s, "is a Python pickle", "torch.load");
  check_named("GGUF\3\0\0\0\x10\0\0\0"s, "is a GGUF file", "made from");
  check_named("\x89HDF\r\n\x1a\n\0\0\0\0"s, "is an HDF5 file, as Keras saves weights", "made from");
  check_named(
      "\b\7\x12\7pytorch\x1a\5"
      "2.1.0"s,
      "is an ONNX model", "made from");
  check_named("\x1c\0\0\0TFL3\0\0\0\0"s, "is a TFLite model", "made from");
  check_named("\x93NUMPY\1\0v\0"s, "is a single NumPy array", "safetensors.numpy");
  check_named("\x1f\x8b\b\0\0\0\0\0\0\3"s, "is an archive", "unpack it");
  check_named(R"({"metadata": {}, "weight_map": {"a": "model-00001-of-00002.safetensors"}})",
              "is the index of a model in several files", "give the folder");
  check_named(R"({"architecture": "vit_base_patch16_224"})", "is a JSON file", "beside it");
  check_named("Access to model x/y is restricted. Please log in.\n",
              "is a text file, not a weight file (\"Access to model x/y is restricted. Please log in.\")", "logged in");
  check_named("", "is empty", "fetch it again");
  check_named("\x89PNG\r\n\x1a\n\0\0\0\rIHDR"s, "is a PNG picture", "give a file of weights");
  check_named("\xff\xd8\xff\xe0\0\x10JFIF\0"s, "is a JPEG picture", "give a file of weights");
  check_named("RIFF\x24\0\0\0WEBPVP8 "s, "is a picture", "give a file of weights");
  check_named("%PDF-1.7\n", "is a PDF document", "give a file of weights");
  check_named(std::string(100, '\xf7'), "is not a safetensors file, nor another kind that is known", "convert");
}

TEST_CASE("a download that stopped early says how much is missing, and is damaged, not another kind of file") {
  const TemporaryDirectory directory;
  save_safetensors(directory / "whole", {{"x", at::ones({100})}, {"y", at::ones({50})}});
  const std::string whole = vitrine::testing::read_whole(directory / "whole");
  const Refusal data = refusal_by_kind(whole.substr(0, whole.size() - 1));
  CHECK((data.kind == ErrorKind::kCorrupt));
  CHECK(has(data.sentence,
            "is cut short: its tensors need 600 bytes, and it has 599; its download stopped early: fetch it again"));
  const Refusal header = refusal_by_kind(whole.substr(0, 20));
  CHECK((header.kind == ErrorKind::kCorrupt));
  CHECK(has(header.sentence, "is cut short: its header has"));
  CHECK((refusal_by_kind("123").kind == ErrorKind::kCorrupt));
}

TEST_CASE("a sound header whose length reads like the beginning of a pickle or an archive is read") {
  for (const std::size_t length : {0x280u, 0x480u, 0x88b1fu}) {
    std::string header = R"({"__metadata__":{"a":")";
    header += std::string(length - header.size() - 3, 'x') + "\"}}";
    REQUIRE(header.size() == length);
    std::string bytes(8, '\0');
    const std::uint64_t wide = length;
    std::memcpy(bytes.data(), &wide, sizeof wide);
    CHECK(refusal_by_kind(bytes + header).sentence == "");
  }
}

TEST_CASE("a prefix that all names share is left out, and that is said") {
  for (const std::string prefix : {"module.", "model.", "backbone.", "module.model.", "_orig_mod.", "vit."}) {
    CAPTURE(prefix);
    Vit model(small_vit());
    const Tensors good = copy_of(*Vit(small_vit()));
    const LoadReport report = load_weights(*model, behind(prefix, good), "file");
    CHECK(report.prefix == prefix);
    CHECK(report.note == "file: stripped the prefix \"" + prefix + "\" from all names.");
    CHECK(at::equal(state_dict(*model).at("head.weight"), good.at("head.weight")));
  }
  ResNet model("resnet18", 3, 8), other("resnet18", 4, 8);
  const LoadReport report = load_weights(*model, behind("module.", copy_of(*other)), "file", "fc");
  CHECK(report.head_replaced);
  CHECK(has(report.note, "from all names. file has a head for 4 classes"));
  CHECK(load_weights(*model, copy_of(*model), "file").note == "");
}

TEST_CASE("a model among others in one file is pointed at, and not taken") {
  Tensors tensors = behind("teacher.backbone.", copy_of(*Vit(small_vit())));
  tensors["teacher.dino_head.weight"] = at::zeros({2});
  CHECK(has(vit_refusal(tensors),
            "the file has the model's tensors under the prefix \"teacher.backbone.\", among others"));
}

TEST_CASE("weights of another architecture are described by what they look like") {
  Tensors plain = copy_of(*Vit(small_vit()));
  const auto with = [&](const std::string& name, const at::Tensor& tensor) {
    Tensors out = plain;
    out[name] = tensor;
    return out;
  };
  const at::Tensor one = at::zeros({1});
  CHECK(has(vit_refusal(with("blocks.0.ls1.gamma", one)),
            "the file looks like a DINOv2 ViT (LayerScale tensors: blocks.0.ls1.gamma) of dim 32, depth 2, patch 8, "
            "image_size "
            "32, classes 5, the model is a ViT with timm's names of dim 32"));
  Tensors deit3 = with("blocks.0.ls1.gamma", one);
  deit3["pos_embed"] = at::zeros({1, 16, 32});
  CHECK(has(vit_refusal(deit3), "looks like a DeiT-III ViT"));
  Tensors registers = with("blocks.0.ls1.gamma", one);
  registers["register_tokens"] = at::zeros({1, 4, 32});
  CHECK(has(vit_refusal(registers), "a DINOv2 ViT with registers"));
  CHECK(has(vit_refusal(with("dist_token", one)), "a distilled DeiT (a distillation token: dist_token)"));
  CHECK(has(vit_refusal(with("blocks.0.attn.relative_position_bias_table", one)), "looks like a BEiT"));
  CHECK(has(vit_refusal(with("norm_pre.weight", one)), "looks like a CLIP ViT"));
  CHECK(has(vit_refusal(with("blocks.0.mlp.fc1_g.weight", one)), "an EVA-02 ViT"));
  CHECK(has(vit_refusal(with("attn_pool.latent", one)), "a SigLIP"));
  Tensors encoder = with("attn_pool.latent", one);
  encoder["norm_pre.weight"] = one;
  CHECK(has(vit_refusal(encoder), "a Perception Encoder"));
  Tensors dinov3 = with("blocks.0.gamma_1", one);
  dinov3["reg_token"] = at::zeros({1, 4, 32});
  dinov3["blocks.0.mlp.fc1_g.weight"] = one;
  dinov3.erase("pos_embed");
  CHECK(has(vit_refusal(dinov3), "a DINOv3 ViT"));
  CHECK(has(vit_refusal(deit3), "image_size 32"));
  Tensors beit = with("blocks.0.attn.relative_position_bias_table", at::zeros({52, 2}));
  beit.erase("pos_embed");
  CHECK(has(vit_refusal(beit), "image_size 32"));
  Tensors headless = plain;
  headless.erase("head.weight"), headless.erase("head.bias");
  CHECK(has(vit_refusal(headless), "without a head"));
  CHECK(has(vit_refusal(copy_of(*ResNet("resnet50", 7))),
            "looks like a resnet50 of width 64 for 7 classes, the model is a ViT"));
  ResNet resnet("resnet18", 3, 8);
  CHECK(has(message_of([&] { load_weights(*resnet, plain, "file"); }), "looks like a ViT with timm's names"));
  CHECK(has(message_of([&] { load_weights(*resnet, copy_of(*ResNet("resnet34", 3, 8)), "file"); }),
            "a resnet34 of width 8"));

  const std::pair<const char*, const char*> foreign[] = {
      {"vit.encoder.layer.0.attention.attention.query.weight", "a ViT with Hugging Face transformers' names"},
      {"encoder.layer.0.layer_scale1.lambda1", "a DINOv2 or DINOv3 ViT with Hugging Face transformers' names"},
      {"vision_model.encoder.layers.0.self_attn.q_proj.weight", "a CLIP or SigLIP vision model"},
      {"visual.transformer.resblocks.0.attn.in_proj_weight", "an OpenAI CLIP or OpenCLIP ViT"},
      {"encoder.layers.encoder_layer_0.ln_1.weight", "a ViT with torchvision's names"},
      {"storage_tokens", "a DINOv3 ViT with Meta's names"},
      {"layers.0.blocks.0.attn.relative_position_bias_table", "a Swin Transformer"},
      {"model.embed_tokens.weight", "a language model"}};
  for (const auto& [name, family] : foreign) CHECK(has(vit_refusal({{name, one}, {"x", one}}), family));
  CHECK(has(vit_refusal({{"x", one}, {"y", one}, {"z", one}}), "an unknown model: 3 tensors, \"x\", \"y\" ..."));
  CHECK(has(vit_refusal({}), "a file without tensors"));
}
