// The keys of [teacher], the files beside the weights, and which of them counts.
#include <ATen/ATen.h>

#include <filesystem>
#include <map>
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
#include "tests/teacher/teacher_folder.h"

using namespace vitrine;
using vitrine::testing::all;
using vitrine::testing::has;
using vitrine::testing::message_of;
using Folder = vitrine::testing::TeacherFolder;

namespace {

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
