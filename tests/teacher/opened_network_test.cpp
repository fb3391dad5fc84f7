// Which network open_teacher() builds of weights and the card beside them.
#include <ATen/ATen.h>

#include <array>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/models/vit/structure.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/open_teacher.h"
#include "tests/support/files.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/teacher/teacher_folder.h"

using namespace vitrine;
using vitrine::testing::all;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::structure_of;
using Folder = vitrine::testing::TeacherFolder;

namespace {

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

}  // namespace

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
