// The keys of [teacher], the files beside the weights, and which of them counts.
#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/models/vit/structure.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/models/weights/weights_record.h"
#include "common/teacher/open_teacher.h"
#include "common/teacher/preprocessing.h"
#include "common/teacher/records.h"
#include "common/teacher/teacher.h"
#include "common/teacher/teacher_check.h"
#include "tests/support/files.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

/// A folder with a small ViT of 32 pixels, and perhaps a config.json.
struct Folder {
  vitrine::testing::TemporaryDirectory root;
  std::filesystem::path weights = root.path() / "model.safetensors";
  TeacherOptions options;

  Folder() {
    at::manual_seed(3);
    VitOptions vit;
    vit.arch = "";
    vit.image_size = 32, vit.patch = 8, vit.dim = 16, vit.depth = 2, vit.heads = 2, vit.classes = 3;
    save_safetensors(weights, state_dict(*Vit(vit)));
    options.weights = root.path().string();
    options.heads = 2;
    options.micro_batch = 4;
  }
  void describe(const std::string& json) const { vitrine::testing::write_whole(root.path() / "config.json", json); }
  OpenedTeacher open() const { return open_teacher(options, at::kCPU); }
};

/// What vitrine-train writes into the file of such a ViT.
WeightsRecord own_record() {
  WeightsRecord out;
  out.model.kind = "vit";
  out.model.vit = VitOptions{"", 32, 8, 16, 2, 2, 3, 4};
  out.size = 32;
  out.mean = {0.7, 0.8, 0.9}, out.stddev = {0.4, 0.5, 0.6};
  out.crop_pct = 0.95;
  out.class_count = 3;
  return out;
}

std::string all(const std::vector<std::string>& notes) {
  std::string out;
  for (const std::string& note : notes) out += note + "\n";
  return out;
}

/// A tower with timm's names under OpenCLIP's, which has no bias in its projection.
Tensors with_open_clip_names(const Tensors& timms) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kNames{
      {{"patch_embed.proj", "conv1"},
       {"fc_norm", "ln_post"},
       {".norm", ".ln_"},
       {"attn.qkv.", "attn.in_proj_"},
       {"attn.proj", "attn.out_proj"},
       {"mlp.fc1", "mlp.c_fc"},
       {"mlp.fc2", "mlp.c_proj"},
       {"pos_embed", "positional_embedding"},
       {"blocks.", "transformer.resblocks."}}};
  Tensors out;
  for (const auto& [timm, tensor] : timms) {
    std::string name = timm;
    for (const auto& [ours, theirs] : kNames)
      if (const std::size_t at = name.find(ours); at != std::string::npos) name.replace(at, ours.size(), theirs);
    out["visual." + name] = tensor;
  }
  out["visual.class_embedding"] = out.extract("visual.cls_token").mapped().flatten();
  out["visual.positional_embedding"] = out.at("visual.positional_embedding").squeeze(0);
  out["visual.proj"] = out.extract("visual.head.weight").mapped().t().contiguous();
  out.erase("visual.head.bias");
  return out;
}

/// The structure of the network that was opened.
VitStructure structure_of(const OpenedTeacher& teacher) {
  nlohmann::ordered_json settings = to_json(VitStructure());
  settings.update(nlohmann::ordered_json::parse(teacher.network->record().settings));
  return vit_structure_from_json(settings, "record");
}

struct TransformersFamily {
  const char* fields;  // of config.json, beside the sizes
  VitStructure structure;
};

/// The families whose config.json is on Hugging Face, as published but for the sizes. An activation that transformers
/// does not use is among them: the gated MLP of DINOv2-giant has SiLU.
std::vector<TransformersFamily> transformers_families() {
  const VitStructure plain = structure_of(VitOptions{"", 32, 8, 16, 2, 2, 3, 4});
  VitStructure vit = plain, deit = plain, beit = plain, dinov2 = plain, dinov3 = plain, clip = plain, siglip = plain;
  vit.eps = deit.eps = beit.eps = 1e-12;
  deit.distillation_token = true;
  deit.pooling = VitPooling::kClassAndDistilled;
  beit.positions = VitPositions::kNone;
  beit.relative_positions = true;
  beit.layer_scale = VitLayerScale::kGamma;
  beit.qkv = VitQkv::kFusedQvBias;
  beit.norm = false, beit.fc_norm = true;
  beit.pooling = VitPooling::kMean;
  dinov2.classes = dinov3.classes = 0;
  dinov2.layer_scale = VitLayerScale::kLs;
  VitStructure giant = dinov2, registers = dinov2;
  giant.mlp = VitMlp::kSwigluPacked;
  giant.activation = VitActivation::kSilu;
  registers.registers = 4;
  registers.positions = VitPositions::kPatches;
  dinov3.registers = 4;
  dinov3.positions = VitPositions::kNone;
  dinov3.rope = VitRope::kDinov3;
  dinov3.rope_temperature = 100;
  dinov3.rope_half = true;
  dinov3.qkv_bias = false;
  dinov3.layer_scale = VitLayerScale::kGamma;
  dinov3.pooling = VitPooling::kMean;
  dinov3.eps = 1e-5;
  VitStructure gated = dinov3;
  gated.mlp = VitMlp::kSwigluSplit;
  gated.activation = VitActivation::kSilu;
  VitStructure gated_gelu = gated;
  gated_gelu.activation = VitActivation::kGelu;
  clip.norm_pre = true;
  clip.patch_bias = false;
  clip.eps = 1e-5;
  VitStructure openai = clip;
  openai.activation = VitActivation::kQuickGelu;
  siglip.classes = 0;
  siglip.class_token = false;
  siglip.pooling = VitPooling::kAttention;
  siglip.pool_heads = 2;
  siglip.pool_hidden = 64;
  siglip.activation = VitActivation::kGeluTanh;
  return {
      {R"("model_type": "vit", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": true)", vit},
      {R"("model_type": "deit", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "qkv_bias": true)", deit},
      {R"("model_type": "beit", "hidden_act": "gelu", "layer_norm_eps": 1e-12, "use_mean_pooling": true,
             "use_relative_position_bias": true, "use_shared_relative_position_bias": false)",
       beit},
      {R"("model_type": "dinov2", "hidden_act": "gelu", "layer_norm_eps": 1e-06, "use_swiglu_ffn": false)", dinov2},
      {R"("model_type": "dinov2", "hidden_act": "gelu", "layer_norm_eps": 1e-06, "use_swiglu_ffn": true)", giant},
      {R"("model_type": "dinov2_with_registers", "hidden_act": "gelu", "layer_norm_eps": 1e-06,
             "num_register_tokens": 4, "use_swiglu_ffn": false)",
       registers},
      {R"("model_type": "dinov3_vit", "hidden_act": "gelu", "layer_norm_eps": 1e-05, "num_register_tokens": 4,
             "query_bias": true, "key_bias": false, "use_gated_mlp": false)",
       dinov3},
      {R"("model_type": "dinov3_vit", "hidden_act": "silu", "layer_norm_eps": 1e-05, "use_gated_mlp": true)", gated},
      {R"("model_type": "dinov3_vit", "hidden_act": "gelu", "layer_norm_eps": 1e-05, "use_gated_mlp": true)",
       gated_gelu},
      {R"("model_type": "clip_vision_model", "hidden_act": "quick_gelu", "layer_norm_eps": 1e-05)", openai},
      {R"("model_type": "clip_vision_model", "hidden_act": "gelu", "layer_norm_eps": 1e-05)", clip},
      {R"("model_type": "siglip_vision_model", "hidden_act": "gelu_pytorch_tanh", "layer_norm_eps": 1e-06)", siglip}};
}

constexpr const char* kTransformersSizes = R"(, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
  "image_size": 32, "patch_size": 8})";

constexpr const char* kCard = R"({"num_classes": 3, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6],
  "crop_pct": 0.8, "crop_mode": "squash", "interpolation": "bilinear", "license": "apache-2.0",
  "label_names": ["ant", "bee", "cat"]}})";

}  // namespace

TEST_CASE("a folder of weights and config.json is a whole teacher") {
  const Folder folder;
  folder.describe(kCard);
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.mean == std::vector<double>{0.1, 0.2, 0.3});
  CHECK(teacher.options.stddev == std::vector<double>{0.4, 0.5, 0.6});
  CHECK(teacher.normalisation_recorded);
  CHECK(teacher.options.crop_pct == 0.8);
  CHECK(teacher.options.crop_mode == "squash");
  CHECK(teacher.options.license == "apache-2.0");
  CHECK(teacher.classes == std::vector<std::string>{"ant", "bee", "cat"});
  CHECK(teacher.weights_sha256 == sha256_hex_of_file(folder.weights));
  CHECK(teacher.options.interpolation == "bilinear");
  CHECK(teacher.network->shape().image_size == 32);
  CHECK(teacher.network->shape().classes == 3);
}

TEST_CASE("a teacher without a known architecture has its folder's name, with or without a slash at its end") {
  Folder folder;
  const std::string name = folder.root.path().stem().string();
  CHECK(folder.open().options.name == name);
  folder.options.weights += "/";
  CHECK(folder.open().options.name == name);
}

TEST_CASE("a key that is set overrides config.json, and the difference is noted") {
  Folder folder;
  folder.describe(kCard);
  folder.options.mean = {0.5, 0.5, 0.5};
  folder.options.crop_pct = 0.8;  // as config.json has it: nothing to note
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(has(all(teacher.notes), "teacher.mean = [0.5, 0.5, 0.5], although config.json says [0.1, 0.2, 0.3]"));
  CHECK_FALSE(has(all(teacher.notes), "teacher.crop_pct"));
  CHECK_FALSE(teacher.normalisation_recorded);
}

TEST_CASE("what vitrine-train wrote into the weight file counts before config.json, and a key before both") {
  Folder folder;
  folder.options.heads = 0;
  save_safetensors(folder.weights, load_safetensors(folder.weights), own_record().metadata());
  folder.describe(kCard);
  OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.heads == 2);
  CHECK(teacher.options.mean == std::vector<double>{0.7, 0.8, 0.9});
  CHECK(teacher.options.crop_pct == 0.95);
  CHECK(teacher.options.license == "apache-2.0");  // only config.json has one
  CHECK(has(all(teacher.notes), "teacher.mean = [0.7, 0.8, 0.9], although config.json says [0.1, 0.2, 0.3]"));
  CHECK(has(all(teacher.notes), "teacher.crop_pct = 0.95, although config.json says 0.8"));
  CHECK_FALSE(has(all(teacher.notes), "teacher.std"));
  folder.options.mean = {0.5, 0.5, 0.5};
  teacher = folder.open();
  CHECK(teacher.options.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(has(all(teacher.notes), "although the file's metadata says [0.7, 0.8, 0.9]"));
}

TEST_CASE(
    "a ViT of vitrine-train knows its class names, decoding and activation; a card with names replaces the names") {
  Folder folder;
  folder.options.heads = 0;
  WeightsRecord record = own_record();
  record.classes = {"bee", "ant", "cat"};
  record.decoding.apply_orientation = true;
  const Tensors tensors = load_safetensors(folder.weights);
  save_safetensors(folder.weights, tensors, record.metadata());
  OpenedTeacher teacher = folder.open();
  CHECK(teacher.classes == record.classes);
  CHECK(teacher.decoding == record.decoding);
  CHECK(teacher.options.activation == "gelu");
  CHECK_FALSE(has(all(teacher.notes), "which the tensors do not show"));
  folder.describe(R"({"num_classes": 3, "pretrained_cfg": {"mean": [0.1, 0.2, 0.3]}})");
  CHECK(folder.open().classes == record.classes);
  folder.describe(kCard);
  teacher = folder.open();
  CHECK(teacher.classes == std::vector<std::string>{"ant", "bee", "cat"});
  CHECK(has(all(teacher.notes), "the file's metadata names other classes than config.json, whose names are used"));

  std::map<std::string, std::string> damaged = record.metadata();
  damaged["vitrine.classes"] = "[1, 2]";
  save_safetensors(folder.weights, tensors, damaged);
  CHECK(has(message_of([&] { folder.open(); }), "its metadata \"vitrine.classes\" is missing or makes no sense"));
}

TEST_CASE("pictures that are decoded otherwise than in the teacher's training are told") {
  const Folder folder;
  ImageIndex index;
  CHECK(decoding_difference(Teacher(folder.options, {}), index).empty());  // not recorded
  WeightsRecord record = own_record();
  record.decoding.apply_orientation = true;
  save_safetensors(folder.weights, load_safetensors(folder.weights), record.metadata());
  const Teacher teacher(folder.options, {});
  CHECK(has(decoding_difference(teacher, index), "exif_orientation = \"apply\""));
  index.decoding = record.decoding;
  CHECK(decoding_difference(teacher, index).empty());
}

TEST_CASE("names of another number of classes than the head's are told and not used") {
  const Folder folder;
  folder.describe(R"({"model_type": "vit", "id2label": {"0": "ant", "1": "bee"}})");
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.classes.empty());
  CHECK(has(all(teacher.notes), "config.json names 2 classes, but the teacher's head has 3; the names are not used"));
}

TEST_CASE("a run's directory and its exported folder are a teacher with the run's name") {
  const Folder folder;
  const std::filesystem::path run = folder.root.path() / "photos" / "vit", exported = run / "exported";
  std::filesystem::create_directories(exported);
  Tensors tensors = load_safetensors(folder.weights);
  save_safetensors(exported / "last.safetensors", tensors, own_record().metadata());
  tensors.at("head.bias").add_(1);
  save_safetensors(exported / "best.safetensors", tensors, own_record().metadata());
  for (const std::filesystem::path& given : {run, exported, exported / "last.safetensors"}) {
    CAPTURE(given);
    TeacherOptions options;
    options.weights = given.string();
    const OpenedTeacher teacher = open_teacher(options, at::kCPU);
    CHECK(teacher.options.name == "vit");
    CHECK(teacher.options.mean == own_record().mean);
    CHECK(teacher.weights_sha256 ==
          sha256_hex_of_file(exported / (given.has_extension() ? "last.safetensors" : "best.safetensors")));
  }
}

TEST_CASE("a tower of OpenCLIP's that norms the mean of the patches is that network, also from its track") {
  Folder folder;
  VitStructure clipa = structure_of(VitOptions{"", 32, 8, 16, 2, 2, 3, 4});
  clipa.norm = false;
  clipa.fc_norm = true;
  clipa.pooling = VitPooling::kMean;
  clipa.eps = 1e-5;
  const at::NoGradGuard no_grad;
  Vit vit(clipa);
  for (at::Tensor& parameter : vit->parameters()) parameter.normal_(0, 0.3);
  Tensors weights = state_dict(*vit);
  weights.at("head.bias").zero_();
  save_safetensors(folder.weights, with_open_clip_names(weights));
  vitrine::testing::write_whole(folder.root.path() / "open_clip_config.json",
                                R"({"model_cfg": {"vision_cfg": {"width": 16, "head_width": 8, "no_ln_pre": true,
    "pool_type": "avg", "final_ln_after_pool": true}}})");
  const at::Tensor x = at::randn({2, 3, 32, 32}), expected = vit->forward(x, {}).logits;
  CHECK(at::allclose(folder.open().network->forward(x, {}).logits, expected, 1e-4, 1e-4));
  folder.options.structure = std::make_shared<const VitStructure>(clipa);
  CHECK(at::allclose(folder.open().network->forward(x, {}).logits, expected, 1e-4, 1e-4));
}

TEST_CASE("transformers' layer_norm_eps is the network's") {
  const Folder folder;
  const at::Tensor x = at::randn({1, 3, 32, 32}) * 1e-3;
  const auto logits = [&](const char* eps) {
    folder.describe(text(R"({"model_type": "vit", "layer_norm_eps": )", eps, "}"));
    OpenedTeacher teacher = folder.open();
    CHECK(has(all(teacher.notes), "eps") == (std::string(eps) != "1e-06"));
    return teacher.network->forward(x, {}).logits;
  };
  CHECK_FALSE(at::allclose(logits("1e-06"), logits("0.5")));
  folder.describe(R"({"model_type": "vit", "layer_norm_eps": 0})");
  CHECK(has(message_of([&] { folder.open(); }), "layer_norm_eps = 0"));
}

TEST_CASE("each of transformers' families is the network that its config.json and its tensors give") {
  const at::NoGradGuard no_grad;
  const at::Tensor x = at::randn({2, 3, 32, 32});
  for (const TransformersFamily& family : transformers_families()) {
    CAPTURE(family.fields);
    Folder folder;
    folder.options.heads = 0;
    Vit vit(family.structure);
    for (at::Tensor& parameter : vit->parameters()) parameter.normal_(0, 0.3);
    save_safetensors(folder.weights, state_dict(*vit));
    folder.describe(text("{", family.fields, kTransformersSizes));
    const OpenedTeacher teacher = folder.open();
    CAPTURE(to_json(structure_of(teacher)).dump());
    CHECK(structure_of(teacher) == family.structure);
    CAPTURE(all(teacher.notes));
    CHECK_FALSE(has(all(teacher.notes), "although"));
    CHECK(at::allclose(teacher.network->forward(x, {}).embedding, vit->forward(x, {}).pooled, 1e-4, 1e-4));
  }
}

TEST_CASE("a gated MLP in one layer has SiLU whatever a card says, unless the key is set") {
  Folder folder;
  VitStructure giant = structure_of(VitOptions{"", 32, 8, 16, 2, 2, 3, 4});
  giant.mlp = VitMlp::kSwigluPacked;
  giant.activation = VitActivation::kSilu;
  save_safetensors(folder.weights, state_dict(*Vit(giant)));
  folder.describe(R"({"model_type": "dinov2", "hidden_act": "gelu"})");
  const OpenedTeacher teacher = folder.open();
  CHECK((structure_of(teacher).activation == VitActivation::kSilu));
  CHECK(has(all(teacher.notes), "its card's activation, gelu, is not used: the gated MLP has silu"));
  folder.options.activation = "gelu";
  CHECK((structure_of(folder.open()).activation == VitActivation::kGelu));
}

TEST_CASE("a key that is set counts before the card's heads and activation, and the difference is noted") {
  Folder folder;
  folder.describe(R"({"model_type": "clip_vision_model", "num_attention_heads": 4, "hidden_act": "quick_gelu",
    "hidden_size": 16, "num_hidden_layers": 2, "patch_size": 8})");
  folder.options.activation = "gelu";
  const OpenedTeacher teacher = folder.open();
  CHECK(structure_of(teacher).heads == 2);
  CHECK((structure_of(teacher).activation == VitActivation::kGelu));
  CHECK(has(all(teacher.notes), "teacher.heads = 2, although config.json says 4"));
  CHECK(has(all(teacher.notes), "teacher.activation = \"gelu\", although config.json says \"quick_gelu\""));
  folder.options.heads = 0;
  folder.options.activation = "";
  CHECK(structure_of(folder.open()).heads == 4);
  CHECK((structure_of(folder.open()).activation == VitActivation::kQuickGelu));
  CHECK_FALSE(has(all(folder.open().notes), "although"));
}

TEST_CASE("sizes of the network that a card says and the weights do not have are noted, and the weights count") {
  const Folder folder;
  folder.describe(R"({"num_classes": 5, "model_args": {"patch_size": 16, "embed_dim": 24, "depth": 3},
    "pretrained_cfg": {"label_names": ["a", "b", "c", "d", "e"]}})");
  const OpenedTeacher teacher = folder.open();
  CAPTURE(all(teacher.notes));
  for (const char* note : {"has patch = 8, although config.json says 16", "has dim = 16, although config.json says 24",
                           "has depth = 2, although config.json says 3", "has classes = 3, although config.json says 5",
                           "config.json names 5 classes, but the teacher's head has 3; the names are not used"})
    CHECK(has(all(teacher.notes), note));
  CHECK(teacher.classes.empty());
  CHECK(teacher.network->shape().classes == 3);
}

TEST_CASE("tensors that cannot change the network are left out, others that it does not use are refused") {
  const Folder folder;
  const Tensors good = load_safetensors(folder.weights);
  const at::Tensor x = at::ones({1, 3, 32, 32}), expected = folder.open().network->forward(x, {}).logits;
  const auto with = [&](std::initializer_list<std::pair<const char*, at::Tensor>> extra) {
    Tensors tensors = good;
    for (const auto& [name, tensor] : extra) tensors[name] = tensor;
    save_safetensors(folder.weights, tensors);
  };
  with({{"foo.bar", at::zeros({2})},
        {"blocks.0.attn.mask", at::zeros({4, 4}, at::kInt)},
        {"center", at::zeros({1, 24})},
        {"logit_scale", at::zeros({})},
        {"mask_token", at::zeros({1, 1, 16})}});
  const OpenedTeacher teacher = folder.open();
  CAPTURE(all(teacher.notes));
  CHECK(has(all(teacher.notes), "left out 4 tensors that this ViT does not use: \"blocks.0.attn.mask\", \"center\""));
  CHECK(at::equal(teacher.network->forward(x, {}).logits, expected));
  for (const char* name : {"blocks.0.attn.temperature", "blocks.2.gate", "patch_embed.norm.weight", "head.fc.weight",
                           "pre_logits.fc.weight", "rel_pos_bias.relative_position_bias_table"}) {
    with({{name, at::zeros({2})}});
    const std::string message = message_of([&] { folder.open(); });
    CAPTURE(message);
    CHECK(has(message, text("has a tensor that this ViT does not use: \"", name, "\"")));
    CHECK(has(message, "export_teacher.py"));
  }
  // Outside all modules: prompts of VPT, scales of SSF.
  for (const char* name : {"prompt_embeddings", "ssf_scale_1"}) {
    with({{name, at::zeros({1, 10, 16})}});
    CHECK(has(message_of([&] { folder.open(); }), text("has a tensor that this ViT does not use: \"", name, "\"")));
  }
}

TEST_CASE("words of a card's that clean crops do not have are noted, those of a key refused") {
  Folder folder;
  folder.describe(R"({"pretrained_cfg": {"crop_mode": "border", "interpolation": "nearest"}})");
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.crop_mode == "center");
  CHECK(teacher.options.interpolation == "bicubic");
  CHECK(has(all(teacher.notes),
            "config.json says interpolation = \"nearest\", which is not supported; clean crops are made "
            "with \"bicubic\""));
  folder.options.interpolation = "nearest";
  CHECK(has(message_of([&] { folder.open(); }), "teacher.interpolation = \"nearest\" is not supported"));
  folder.options.interpolation = "lanczos";
  CHECK(folder.open().options.interpolation == "lanczos");
  CHECK(has(all(teacher.notes),
            "config.json says crop_mode = \"border\", which is not supported; clean crops are made "
            "with \"center\""));
  folder.options.crop_mode = "border";
  CHECK(has(message_of([&] { folder.open(); }), "teacher.crop_mode = \"border\" is not supported"));
}

TEST_CASE("a pooling that no ViT here has is refused, wherever config.json says it") {
  const Folder folder;
  for (const char* card : {R"({"architecture": "mine", "global_pool": "max"})",
                           R"({"architecture": "mine", "model_args": {"global_pool": "avgmax"}})"}) {
    folder.describe(card);
    CHECK(has(message_of([&] { folder.open(); }), "max\" is not supported"));
  }
  folder.describe(R"({"architecture": "mine", "global_pool": ""})");
  CHECK(folder.open().network->shape().classes == 3);
}

TEST_CASE("the sizes in timm's model_args count before those of the architecture's name") {
  Folder folder;
  folder.options.heads = 0;
  folder.describe(R"({"architecture": "vit_tiny_patch16_224", "num_classes": 3, "model_args": {"img_size": 32,
    "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}})");
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.name == "vit_tiny_patch16_224");
  CHECK(teacher.network->shape().depth() == 2);
  CHECK(teacher.network->shape().blocks[0].heads == 2);
  // They say nothing of an architecture that is named by a key.
  folder.options.arch = "vit_small_patch16_224";
  const std::string message = message_of([&] { folder.open(); });
  CAPTURE(message);
  CHECK(has(message, "teacher.arch says vit_small_patch16_224, which has dim 384 and depth 12"));
  CHECK(has(message, "leave out teacher.arch"));
}

TEST_CASE("what no source says is assumed, and noted") {
  Folder folder;
  folder.options.heads = 0;
  const std::string message = message_of([&] { folder.open(); });
  CAPTURE(message);
  CHECK(has(message, "heads"));  // 16 is not a multiple of 64
  folder.options.heads = 2;
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.options.mean == std::vector<double>{0.485, 0.456, 0.406});
  CHECK_FALSE(teacher.normalisation_recorded);
  CHECK(has(all(teacher.notes), "assuming"));
  CHECK(has(all(teacher.notes), "activation"));
  CHECK(has(all(teacher.notes), "mean = "));
}

TEST_CASE("weights with Google's names are assumed to have Google's preprocessing, others by their structure") {
  const UsualPreprocessing google = usual_preprocessing(VitStructure(), "Google's ViT"),
                           timm = usual_preprocessing(VitStructure(), "timm");
  CHECK(google.values.mean == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(google.values.stddev == std::vector<double>{0.5, 0.5, 0.5});
  CHECK(google.family == "Google's ViT");
  CHECK_FALSE(google.is_guess);
  CHECK(timm.values.mean != google.values.mean);
  CHECK(timm.is_guess);
}

TEST_CASE("a name tells the preprocessing by its whole parts, and one that several weights share is an assumption") {
  const auto usual = [](const char* arch) {
    VitStructure structure;
    structure.arch = arch;
    return usual_preprocessing(structure, "timm");
  };
  CHECK(usual("vit_small_patch16_rope_224").family == "RoPE-ViT");  // no "pe"
  CHECK(usual("vit_small_patch16_rope_224").values.mean == std::vector<double>{0.485, 0.456, 0.406});
  CHECK_FALSE(usual("vit_small_patch16_rope_224").is_guess);
  CHECK(usual("beit3_base_patch16_224").family == "BEiT-3");
  CHECK(usual("vit_large_patch16_dinov3.sat493m").values.mean == std::vector<double>{0.43, 0.411, 0.296});
  CHECK(usual("vit_large_patch16_dinov3").is_guess);
  CHECK(usual("vit_base_patch16_224").is_guess);
  CHECK_FALSE(usual("vit_base_patch16_224.dino").is_guess);
  CHECK(usual("vit_base_patch16_384.augreg_in1k").values.crop_pct == 1.0);
}

TEST_CASE("another image size resamples the positions, which is said and recorded") {
  Folder folder;
  CHECK_FALSE(folder.open().resampled_from);
  CHECK_FALSE(has(all(folder.open().notes), "resampled"));
  folder.options.image_size = 48;
  const OpenedTeacher teacher = folder.open();
  CHECK(teacher.network->shape().image_size == 48);
  CHECK(teacher.network->shape().blocks[0].height == 6);
  CHECK(teacher.resampled_from == WeightsSize{32, 8});
  CHECK(has(all(teacher.notes),
            "the positions of 4 x 4 patches are resampled to 6 x 6 (image_size = 48, trained with 32)"));
  const TeacherOutputs out = teacher.network->forward(at::zeros({2, 3, 48, 48}), {{1}, {0}, true});
  CHECK(out.features[0].sizes() == at::IntArrayRef{2, 16, 6, 6});
  CHECK(out.attentions[0].sizes() == at::IntArrayRef{2, 2, 6, 6});
  folder.options.patch = 12;
  const OpenedTeacher wide = folder.open();
  CHECK(wide.resampled_from == WeightsSize{32, 8});
  CHECK_FALSE(has(all(wide.notes), "positions"));
  CHECK(has(all(wide.notes), "the patch weights of 8 x 8 pixels are resampled to 12 x 12"));
  folder.options.patch = 0;
  folder.options.image_size = 50;
  CHECK(has(message_of([&] { folder.open(); }), "50"));
}

TEST_CASE("a track rebuilds its teacher from the weights alone, whatever config.json says now") {
  Folder folder;
  folder.describe(kCard);
  folder.options.image_size = 48;
  folder.options.activation = "quick_gelu";
  TapOptions taps;
  taps.features = {-1};
  taps.features_encoding = taps.logits_encoding = "fp32";
  const Teacher teacher(folder.options, taps);
  std::vector<std::uint8_t> pictures(4 * 48 * 48 * 3);
  for (std::size_t i = 0; i < pictures.size(); ++i) pictures[i] = static_cast<std::uint8_t>(i * 17 % 253);
  const std::vector<std::vector<float>> values = teacher.run(pictures, 4);

  folder.describe(R"({"pretrained_cfg": {"mean": [0.9, 0.9, 0.9], "crop_mode": "border"}})");
  const TrackInfo track = teacher.outputs()[0];
  const TrackInfo again = TrackInfo::from_json(
      [&] {
        TrackInfo whole = track;
        whole.plan_hash = whole.teacher.class_list_sha256 = std::string(64, '0');
        return whole.json();
      }(),
      "track.json");
  const TeacherOptions rebuilt = teacher_options(again, {folder.weights.string(), "", false}, "cpu");
  CHECK(rebuilt.mean == std::vector<double>{0.1, 0.2, 0.3});
  CHECK(again.teacher.resampled_from == WeightsSize{32, 8});
  CHECK(Teacher(rebuilt, taps).run(pictures, 4) == values);
  CHECK(Teacher(rebuilt, taps).outputs()[0].teacher.resampled_from == again.teacher.resampled_from);
  CHECK(has(message_of([&] {
              teacher_options(again, {folder.weights.string(), "texts", false}, "cpu");
            }),
            "--zero-shot"));
}

TEST_CASE("crop mode and interpolation, which no track records, are config.json's also where a track fills in") {
  Folder folder;
  folder.describe(kCard);
  const TrackInfo track = Teacher(folder.options, {}).outputs()[0];
  const auto opened = [&] {
    const TeacherOptions filled = filled_from(track, /*same_weights=*/true, folder.options);
    REQUIRE(filled.structure != nullptr);
    return open_teacher(filled, at::kCPU).options;
  };
  CHECK((opened().crop_mode == "squash" && opened().interpolation == "bilinear"));
  folder.options.crop_mode = "center", folder.options.interpolation = "box";
  CHECK((opened().crop_mode == "center" && opened().interpolation == "box"));
}
