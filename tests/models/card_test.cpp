// What the files beside weights say: every form, and every fault.
#include "common/models/weights/card.h"

#include <cmath>

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

TeacherCard card_of(const std::string& text, const char* name = "config.json") {
  const TemporaryDirectory directory;
  write_whole(directory / name, text);
  return read_card(directory / "");
}

std::string card_refusal(const std::string& text, const char* name = "config.json") {
  const std::string message = message_of([&] { card_of(text, name); });
  CHECK(has(message, name));
  CHECK(message.find('\n') == std::string::npos);
  return message;
}

}  // namespace

TEST_CASE("timm's config.json: the model's fields, then those of its weights") {
  const TeacherCard card = card_of(R"({"architecture": "vit_base_patch16_224", "num_classes": 3, "global_pool": "token",
    "model_args": {"embed_dim": 64, "depth": 2, "num_heads": 4, "patch_size": 8},
    "label_names": ["n1", "n2", "n3"], "label_descriptions": {"n1": "tench", "n3": "shark"},
    "pretrained_cfg": {"num_classes": 1000, "input_size": [3, 384, 384], "mean": [0.5, 0.4, 0.3], "std": [1, 1, 0.5],
      "crop_pct": 0.9, "crop_mode": "squash", "interpolation": "bicubic", "license": "apache-2.0", "tag": null}})");
  CHECK(card.architecture == "vit_base_patch16_224");
  CHECK(card.classes == 3);
  CHECK(card.pooling == "class");
  CHECK((card.dim == 64 && card.depth == 2 && card.heads == 4 && card.patch == 8));
  CHECK(card.class_names == std::vector<std::string>{"n1", "n2", "n3"});
  CHECK(card.class_descriptions == std::vector<std::string>{"tench", "", "shark"});
  CHECK(card.image_size == 384);
  CHECK((card.mean == std::array{0.5, 0.4, 0.3} && card.std == std::array{1.0, 1.0, 0.5}));
  CHECK((card.crop_pct == 0.9 && card.crop_mode == "squash" && card.interpolation == "bicubic"));
  CHECK(card.license == "apache-2.0");
  CHECK(card.notes.empty());
}

TEST_CASE("timm's model_args have the model's own image size, whatever that of its first weights was") {
  const auto size_of = [](const std::string& arguments) {
    return card_of(R"({"architecture": "x", "model_args": {)" + arguments +
                   R"(}, "pretrained_cfg": {"input_size": [3, 224, 224]}})")
        .image_size;
  };
  CHECK(size_of(R"("img_size": 96)") == 96);
  CHECK(size_of(R"("img_size": [96, 96])") == 96);
  CHECK(size_of(R"("depth": 2)") == 224);
  CHECK(has(card_refusal(R"({"architecture": "x", "model_args": {"img_size": [96, 64]}})"), "a square"));
}

TEST_CASE("timm's config.json without pretrained_cfg, and without a head") {
  const TeacherCard card = card_of(R"({"architecture": "vit_small_patch14_dinov2", "num_classes": 0, "mean": [0, 0, 0],
    "std": [1, 1, 1], "input_size": [3, 518, 518], "crop_pct": 1.0, "labels": {"1": "b", "0": "a"}})");
  CHECK(card.classes == 0);
  CHECK(card.image_size == 518);
  CHECK(card.crop_pct == 1.0);
  CHECK((card.class_names.empty() && card.notes.size() == 1));
  CHECK(has(card.notes.front(), "names 2 classes, but the model has 0"));
}

TEST_CASE("names that leave out a class are not used, and that is said; those of the model count before its weights'") {
  const TeacherCard gaps = card_of(R"({"architecture": "x", "label_names": {"0": "a", "2": "b"}})");
  CHECK((gaps.class_names.empty() && has(gaps.notes.at(0), "no names for 1 of its 3 classes")));
  const TeacherCard own = card_of(R"({"architecture": "x", "label_names": ["a"], "label_descriptions": {"a": "b"},
    "pretrained_cfg": {"label_names": ["c", "d"]}})");
  CHECK((own.class_names.at(0) == "a" && own.class_descriptions.at(0) == "b"));
}

TEST_CASE("transformers' config.json and preprocessor_config.json") {
  const TemporaryDirectory directory;
  write_whole(directory / "config.json", R"({"model_type": "dinov2", "architectures": ["Dinov2Model"],
    "hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 6, "hidden_act": "gelu_pytorch_tanh",
    "layer_norm_eps": 1e-06, "image_size": 518, "patch_size": 14, "id2label": {"0": "LABEL_0", "1": "LABEL_1"}})");
  write_whole(directory / "preprocessor_config.json",
              R"({"do_center_crop": true, "crop_size": {"height": 224, "width": 224},
    "size": {"shortest_edge": 256}, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225],
    "resample": 3, "rescale_factor": 0.00392156862745098})");
  write_whole(directory / "README.md", "---\ntags:\n- vision\nlicense: \"apache-2.0\"\n---\n# Model\nlicense: none\n");
  const TeacherCard card = read_card(directory / "");
  CHECK((card.dim == 384 && card.depth == 12 && card.heads == 6 && card.patch == 14));
  CHECK(card.activation == "gelu_tanh");
  CHECK(card.norm_eps == 1e-6);
  CHECK_FALSE(card.classes);  // the names are transformers' defaults
  CHECK(card.image_size == 224);
  CHECK(card.crop_pct == 224.0 / 256);
  CHECK((card.crop_mode == "center" && card.interpolation == "bicubic"));
  CHECK(card.mean == std::array{0.485, 0.456, 0.406});
  CHECK(card.license == "apache-2.0");
  CHECK(card.files.size() == 3);
}

TEST_CASE("hidden_act is not the activation of DINOv2's gated MLP, but of all others") {
  const auto activation = [](const std::string& field) {
    return card_of(R"({"model_type": "dinov2", "hidden_act": "gelu")" + field + "}").activation;
  };
  CHECK(activation("") == "gelu");
  CHECK(activation(R"(, "use_swiglu_ffn": false)") == "gelu");
  CHECK_FALSE(activation(R"(, "use_swiglu_ffn": true)"));
  CHECK(activation(R"(, "use_gated_mlp": true)") == "gelu");
}

TEST_CASE("transformers' labels, means of patches, and parts for pictures with their defaults") {
  const TeacherCard beit = card_of(R"({"model_type": "beit", "architectures": ["BeitForImageClassification"],
    "use_mean_pooling": true, "id2label": {"1": "dog", "0": "cat"}})");
  CHECK(beit.classes == 2);
  CHECK(beit.class_names == std::vector<std::string>{"cat", "dog"});
  CHECK(beit.pooling == "mean");
  const TeacherCard unnamed =
      card_of(R"({"architectures": ["ViTForImageClassification"], "id2label": {"0": "LABEL_0", "1": "LABEL_1"}})");
  CHECK((unnamed.classes == 2 && unnamed.class_names.empty()));
  const TeacherCard siglip = card_of(R"({"model_type": "siglip", "vision_config": {"image_size": 384}})");
  CHECK((siglip.image_size == 384 && siglip.patch == 16 && siglip.heads == 12));
  CHECK((siglip.activation == "gelu_tanh" && siglip.norm_eps == 1e-6));
  const TeacherCard clip =
      card_of(R"({"model_type": "clip", "vision_config": {"hidden_act": "gelu", "patch_size": 14}})");
  CHECK((clip.activation == "gelu" && clip.patch == 14 && clip.norm_eps == 1e-5));
}

TEST_CASE("preprocessor_config.json of squares, plain numbers and without normalisation") {
  const char* name = "preprocessor_config.json";
  const TeacherCard square = card_of(R"({"size": {"height": 224, "width": 224}, "resample": 2})", name);
  CHECK((square.image_size == 224 && square.crop_pct == 1.0 && square.crop_mode == "squash"));
  CHECK(square.interpolation == "bilinear");
  const TeacherCard deit =
      card_of(R"({"size": {"height": 256, "width": 256}, "crop_size": 224, "do_center_crop": true})", name);
  CHECK((deit.image_size == 224 && deit.crop_pct == 0.875 && deit.crop_mode == "squash"));
  const TeacherCard old_clip = card_of(R"({"size": 224, "crop_size": 224, "do_center_crop": true})", name);
  CHECK((old_clip.crop_pct == 1.0 && old_clip.crop_mode == "center"));
  const auto old_cropped = [&](const std::string& processor) {
    return card_of(R"({"size": 256, "crop_size": 224, "do_center_crop": true)" + processor + "}", name).crop_mode;
  };
  CHECK(old_cropped("") == "center");
  CHECK(old_cropped(R"(, "feature_extractor_type": "CLIPFeatureExtractor")") == "center");
  CHECK(old_cropped(R"(, "feature_extractor_type": "DeiTFeatureExtractor")") == "squash");
  CHECK(old_cropped(R"(, "feature_extractor_type": "BeitFeatureExtractor")") == "squash");
  CHECK(old_cropped(R"(, "image_processor_type": "ViTImageProcessorFast")") == "squash");
  CHECK(old_cropped(R"(, "image_processor_type": "ViTHybridImageProcessor")") == "center");
  const TeacherCard old_vit = card_of(R"({"size": 384, "do_normalize": false})", name);
  CHECK((old_vit.image_size == 384 && old_vit.crop_mode == "squash" && old_vit.std == std::array{1.0, 1.0, 1.0}));
}

TEST_CASE("preprocessor_config.json's size comes back from crop_pct as timm computes it") {
  for (const int size : {353, 354, 256, 384, 448, 518, 248}) {
    const TeacherCard card =
        card_of(text(R"({"size": {"shortest_edge": )", size, R"(}, "crop_size": 224, "do_center_crop": true})"),
                "preprocessor_config.json");
    CHECK(std::floor(224 / card.crop_pct.value()) == size);
  }
}

TEST_CASE("open_clip_config.json, which adds to timm's config.json") {
  const std::string open_clip = R"({"model_cfg": {"quick_gelu": true, "vision_cfg": {"image_size": 224, "layers": 12,
    "width": 768, "patch_size": 32}}, "preprocess_cfg": {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5],
    "interpolation": "bicubic", "resize_mode": "shortest"}})";
  const TeacherCard alone = card_of(open_clip, "open_clip_config.json");
  CHECK((alone.image_size == 224 && alone.depth == 12 && alone.dim == 768 && alone.heads == 12));
  CHECK((alone.crop_mode == "center" && alone.crop_pct == 1.0 && alone.activation == "quick_gelu"));
  CHECK((alone.pooling == "class" && alone.norm_after_pooling == false && !alone.norm_eps));
  const TemporaryDirectory directory;
  write_whole(directory / "config.json", R"({"architecture": "vit_base_patch32_clip_224", "pretrained_cfg":
    {"mean": [0.1, 0.1, 0.1]}})");
  write_whole(directory / "open_clip_config.json", open_clip);
  write_whole(directory / "model.safetensors", "");
  const TeacherCard both = read_card(directory / "model.safetensors");  // a file in the directory
  CHECK((both.mean == std::array{0.1, 0.1, 0.1} && both.std == std::array{0.5, 0.5, 0.5}));
  CHECK(both.activation == "quick_gelu");
}

TEST_CASE("open_clip_config.json tells where a tower of OpenCLIP's own pools, and leaves that of timm's to timm") {
  const auto card_of_tower = [](const std::string& fields) {
    return card_of(R"({"model_cfg": {"vision_cfg": {"width": 1024)" + fields + "}}}", "open_clip_config.json");
  };
  const TeacherCard clips = card_of_tower(R"(, "no_ln_pre": true, "pool_type": "avg", "final_ln_after_pool": true,
    "norm_kwargs": {"eps": 1e-6}, "act_kwargs": {"approximate": "tanh"})");
  CHECK((clips.pooling == "mean" && clips.norm_after_pooling == true));
  CHECK((clips.norm_eps == 1e-6 && clips.activation == "gelu_tanh" && clips.heads == 16));
  CHECK(card_of_tower(R"(, "pool_type": "none")").pooling == "none");
  const TeacherCard timm = card_of_tower(R"(, "timm_model_name": "vit_base_patch16_siglip_224")");
  CHECK((!timm.pooling && !timm.norm_after_pooling && !timm.heads));
  const auto quick = [](const char* tower) {
    return card_of(text(R"({"model_cfg": {"quick_gelu": true, "vision_cfg": {)", tower, "}}}"), "open_clip_config.json")
        .activation;
  };
  CHECK(quick(R"("width": 1024)") == "quick_gelu");
  CHECK_FALSE(quick(R"("timm_model_name": "vit_base_patch16_siglip_224")"));
  CHECK(has(card_refusal(R"({"model_cfg": {"vision_cfg": {"final_ln_after_pool": 1}}})", "open_clip_config.json"),
            "final_ln_after_pool = 1 is not allowed; expected true or false"));
}

TEST_CASE("nothing beside the weights is an empty card; other configurations are named and not used") {
  const TemporaryDirectory directory;
  CHECK(read_card(directory / "").files.empty());
  CHECK(has(card_of(R"({"learning_rate": 1})").notes.at(0), "neither timm's nor transformers'"));
  CHECK_FALSE(card_of("# Title\nlicense: mit\n", "README.md").license);
  CHECK(card_of("---\nlicense: other\nlicense_name: dinov3-license\n---\n", "README.md").license == "dinov3-license");
  CHECK_FALSE(card_of("---\nlicense:\n", "README.md").license);
}

TEST_CASE("each fault in a configuration is one sentence that names the file and the key") {
  CHECK(has(card_refusal("{"), "is not JSON"));
  CHECK(has(card_refusal("[1]"), "is not a JSON object"));
  CHECK(has(card_refusal(R"({"architecture": 3})"), "architecture = 3 is not allowed; expected a text"));
  CHECK(has(card_refusal(R"({"architecture": "x", "num_classes": -1})"), "num_classes = -1"));
  CHECK(has(card_refusal(R"({"architecture": "x", "num_classes": 1.5})"), "num_classes = 1.5"));
  CHECK(has(card_refusal(R"({"architecture": "x", "pretrained_cfg": []})"), "pretrained_cfg = []"));
  CHECK(has(card_refusal(R"({"architecture": "x", "pretrained_cfg": {"mean": [0.5, 0.5]}})"),
            "pretrained_cfg.mean = [0.5,0.5] is not allowed; expected three numbers"));
  CHECK(has(card_refusal(R"({"architecture": "x", "pretrained_cfg": {"mean": [0.5, 0.5, 124]}})"), "from 0 to 1"));
  CHECK(has(card_refusal(R"({"architecture": "x", "pretrained_cfg": {"std": [0, 1, 1]}})"), "positive"));
  CHECK(has(card_refusal(R"({"architecture": "x", "pretrained_cfg": {"crop_pct": 1.2}})"), "crop_pct = 1.2"));
  CHECK(has(card_refusal(R"({"architecture": "x", "input_size": [3, 224, 192]})"), "a square"));
  CHECK(has(card_refusal(R"({"architecture": "x", "label_names": [1]})"), "label_names = [1]"));
  CHECK(has(card_refusal(R"({"architecture": "x", "label_names": {"-1": "a"}})"), "names by number"));
  CHECK(has(card_refusal(R"({"architecture": "x", "label_names": {"4000000000": "a"}})"), "names by number"));
  CHECK(has(card_refusal(R"({"model_type": "vit", "architectures": "x", "id2label": {"0": "LABEL_0"}})"),
            "architectures = \"x\""));
  CHECK(has(card_refusal(R"({"model_type": "vit", "id2label": {"00": "a", "0": "b"}})"), "id2label"));
  CHECK(has(card_refusal(R"({"model_type": "vit", "layer_norm_eps": 2})"), "layer_norm_eps = 2"));
  CHECK(has(card_refusal(R"({"model_type": "vit", "hidden_size": 1e3})"), "hidden_size = 1000.0"));
  const char* preprocessor = "preprocessor_config.json";
  CHECK(has(card_refusal(R"({"size": {"height": 224, "width": 192}})", preprocessor), "a square"));
  CHECK(has(card_refusal(R"({"size": 224, "crop_size": 256, "do_center_crop": true})", preprocessor),
            "at most the size"));
  CHECK(has(card_refusal(R"({"resample": 7})", preprocessor), "resample = 7"));
  CHECK(has(card_refusal(R"({"rescale_factor": 1})", preprocessor), "1/255"));
  CHECK(has(card_refusal(R"({"model_cfg": {"vision_cfg": {"layers": [1, 2]}}})", "open_clip_config.json"),
            "model_cfg.vision_cfg.layers = [1,2]"));
}
