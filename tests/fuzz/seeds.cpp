// fuzz_seeds DIRECTORY: the first inputs of every target, made from the golden files, as DIRECTORY/TARGET/NAME.
#include <webp/encode.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/image/decode.h"
#include "common/image/write.h"
#include "tests/faults/fuzz.h"
#include "tests/fuzz/cases.h"
#include "tests/support/zip_bytes.h"
#include "tools/pack/manifest.h"
#include "tools/pack/tar.h"

namespace {

using namespace vitrine;
using namespace vitrine::testing;

const std::filesystem::path kGolden = VITRINE_GOLDEN;

std::string string_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Golden files whose names end so, at any depth; names as paths below tests/golden, with '-' for '/'.
std::vector<std::pair<std::string, std::string>> golden_files(std::string_view end,
                                                              const std::filesystem::path& below = "") {
  std::vector<std::pair<std::string, std::string>> files;
  for (const DirectoryEntry& entry : list_directory(kGolden / below)) {
    const std::filesystem::path path = below / entry.name;
    if (entry.kind == DirectoryEntry::Kind::kDirectory) {
      const auto more = golden_files(end, path);
      files.insert(files.end(), more.begin(), more.end());
    } else if (entry.name.ends_with(end)) {
      std::string name = path.string();
      std::replace(name.begin(), name.end(), '/', '-');
      files.emplace_back(name, read_file(kGolden / path));
    }
  }
  return files;
}

class Seeds {
 public:
  explicit Seeds(std::filesystem::path directory) : directory_(std::move(directory)) {}
  void add(const std::string& name, std::string_view bytes) const { write_whole(directory_ / name, bytes); }

 private:
  std::filesystem::path directory_;
};

void seed_payloads(const Seeds& seeds) {
  for (std::size_t i = 0; i < std::size(kPayloadCases); ++i) {
    const std::string name = kPayloadCases[i].name;
    seeds.add(name, static_cast<char>(i) + read_file(kGolden / "payloads" / (name + ".payload")));
  }
}

void seed_encodings(const Seeds& seeds) {
  const Surroundings surroundings(kGolden);
  for (std::size_t i = 0; i < std::size(kEncodingCases); ++i) {
    const StoredGroup group = stored_group(kGolden / kEncodingCases[i], surroundings.basis());
    std::string input(1, static_cast<char>(i));
    for (std::size_t a = 0; a < group.arrays.size(); ++a) {
      const std::size_t length = group.arrays[a].size();
      if (a + 1 < group.arrays.size()) input += {static_cast<char>(length & 255), static_cast<char>(length >> 8)};
      input += string_of(group.arrays[a]);
    }
    seeds.add(kEncodingCases[i], input);
  }
}

void seed_containers(const Seeds& seeds) {
  for (const char* end : {".h5", ".json"})
    for (const auto& [name, bytes] : golden_files(end)) seeds.add(name, bytes);
}

void seed_chunks(const Seeds& seeds) {
  for (std::size_t i = 0; i < std::size(kChunkCases); ++i) {
    const std::filesystem::path path = kGolden / kChunkCases[i];
    const Container container(path);
    for (std::size_t d = 0; d < container.datasets().size(); ++d) {
      const std::string& dataset = container.datasets()[d].name;
      seeds.add(std::string(kChunkCases[i]) + "-" + dataset,
                std::string{static_cast<char>(i), static_cast<char>(d)} + string_of(first_chunk(path, dataset)));
    }
  }
}

void seed_records(const Seeds& seeds) {
  const auto add = [&](RecordCase kind, const std::string& name, const std::string& text) {
    seeds.add(name, static_cast<char>(kind) + text);
  };
  for (const auto& [name, text] : golden_files(".json")) {
    if (name.find("track") != std::string::npos) add(RecordCase::kTrack, name, text);
    if (name.find("plan") != std::string::npos) add(RecordCase::kPlan, name, text);
    if (name.find("shards") != std::string::npos) add(RecordCase::kManifest, name, text);
  }
  add(RecordCase::kShardLog, "shards.jsonl",
      "{\"name\":\"00000.h5\",\"bytes\":5,\"xxh3\":\"0000000000000007\"}\n"
      "{\"name\":\"00001.h5\",\"bytes\":6,\"xxh3\":\"0000000000000008\"}\n");
  add(RecordCase::kIndexRecord, "index_record.json",
      text("{\"format\":\"vitrine index record\",\"version\":1,\"index\":\"", std::string(64, '0'),
           "\",\"depth\":\"decode\",\"looked_at\":7,\"rotated\":1,\"grey16\":0}\n"));
}

void seed_run_files(const Seeds& seeds) {
  const auto add = [&](RunFileCase kind, const std::string& name, const std::string& bytes) {
    seeds.add(name, static_cast<char>(kind) + bytes);
  };
  const std::string hash(64, 'a');
  add(RunFileCase::kCheckpoint, "last.json",
      text(R"({"step":12,"finished":true,"validation_due":false,"best_score":0.75,"best_step":8,"best_epoch":2,)",
           R"("best_chosen_by":"top1","validation_images":")", hash,
           R"(","seconds":3.5,"core_seconds":7.0,"plan_hash":")", hash,
           R"(","tracks":{"logits":{"teacher":{"name":"small"}}},"allowed":[{"word":"mixed","difference":"one"}],)",
           R"("other_pictures":5,"left_out_views":6,"changes":["a change"],"tensors":"checkpoint-12.safetensors",)",
           R"("tensors_sha256":")", hash,
           R"(","settings":"seed = 3\n","validation":{"top1":0.5,"top5":1,"images":40},)",
           R"("best_validation":{"top1":0.75,"top5":1,"images":40},)",
           R"("agreement":0.25,"passes":{"all":[0,1,4],"with_maps":[1]}})"));
  add(RunFileCase::kCheckpoint, "old_last.json",
      text(
          R"({"step":1,"best_score":-1.0,"seconds":1,"core_seconds":1,"plan_hash":"","tensors":"checkpoint-1.safetensors",)",
          R"("tensors_sha256":"","settings":""})"));
  add(RunFileCase::kSummary, "summary.json",
      R"({"steps":12,"images_seen":48,"wall_seconds":3.5,"core_seconds":7.0,"core_seconds_per_step":0.5,"wait_share":0.25,)"
      R"("evaluated_on":"test","evaluated_images":40,"top1":0.5,"top5":1.0,"allowed":[{"word":"mixed","difference":"one"}],)"
      R"("weights":"best","last_top1":0.25,"last_top5":0.75,"test_images":{"folder":"test","hash":"ab"},)"
      R"("left_out_views":2,"skipped_updates":3,"best":{"chosen_by":"top1","score":0.75,"step":8,"epoch":2,)"
      R"("file":"exported/best.safetensors"},"size":32,"stages":{"features.1":"layer3"},"changes":["a change"]})");
  const std::string rest =
      "size 32\nmean [0.5,0.5,0.5]\nstd [0.2,0.2,0.2]\ncrop_pct 0.875\nexif_orientation ignore\ngrey16 scale\n"
      "precision bf16\nclasses [\"ant\",\"bee\"]\nclass_count 2\nstep 12\nselection top1\nscore 0.75\n";
  add(RunFileCase::kWeights, "resnet", "kind resnet\narch resnet18\nwidth 64\n" + rest);
  add(RunFileCase::kWeights, "vit",
      "kind vit\nimage_size 224\npatch 16\ndim 192\ndepth 12\nheads 3\nmlp_ratio 4\n" + rest);
  add(RunFileCase::kLog, "metrics.jsonl",
      "\3{\"event\":\"step\",\"step\":1,\"epoch\":1,\"phase\":\"align\",\"lr\":0.01,\"loss\":2.5,\"feature\":2.5}\n"
      "{\"event\":\"validation\",\"step\":3,\"epoch\":1,\"phase\":\"joint\",\"images\":5,\"top1\":0.5,\"best\":true}\n"
      "{\"event\":\"phase\",\"step\":3,\"epoch\":1,\"phase\":\"joint\",\"findings\":[{\"kind\":\"a\",\"problem\":true,"
      "\"sentence\":\"one\"}]}\n"
      "{\"event\":\"end\",\"step\":3,\"seconds\":1.5}\n{\"event\":\"step\",\"step\":4,\"epoch\":2}\n{\"event\":\"st");
}

void seed_report(const Seeds& seeds) {
  const auto add = [&](ReportCase kind, const std::string& name, const std::string& bytes) {
    seeds.add(name, static_cast<char>(kind) + bytes);
  };
  add(ReportCase::kMetrics, "metrics.jsonl",
      "{\"event\":\"step\",\"step\":1,\"epoch\":1,\"phase\":\"align\",\"lr\":0.01,\"loss\":2.5,\"kl\":1e-3}\n"
      "{\"event\":\"step\",\"step\":5,\"epoch\":1,\"phase\":\"joint\",\"lr\":0.02,\"loss\":0.5,\"wait_share\":0.5}\n"
      "{\"event\":\"validation\",\"step\":5,\"epoch\":1,\"top1\":0.5,\"top5\":1,\"agreement\":0.25,\"best\":true}\n"
      "{\"event\":\"phase\",\"step\":5,\"epoch\":1,\"phase\":\"joint\",\"findings\":[{\"kind\":\"a\",\"problem\":true,"
      "\"sentence\":\"one <b>\"}]}\n");
  add(ReportCase::kSummary, "summary.json",
      R"({"steps":12,"images_seen":48,"wall_seconds":3.5,"core_seconds":7.0,"wait_share":0.25,"evaluated_on":"test",)"
      R"("evaluated_images":40,"top1":0.5,"top5":1.0,"allowed":[{"word":"mixed","difference":"one"}],)"
      R"("weights":"best","last_top1":0.25,"last_top5":0.75,)"
      R"("best":{"chosen_by":"top1","score":0.75,"step":8,"epoch":2},"stages":{"features.1":"layer3"},"changes":["a"]})");
  add(ReportCase::kConfiguration, "config.toml", "batch = 4\nmean = [0.5, 0.5]\n[model]\narch = \"resnet18\"\n");
  add(ReportCase::kEvaluation, "evaluation.json",
      R"({"version":1,"weights":"w","images_in":"i","images":5,"top1":0.4,"classes":[{"name":"<a>","images":3,"right":2}],)"
      R"("hardest":[{"id":"a/1.jpg","label":"a","loss":7.5,"student":[{"class":"b","probability":0.5}],)"
      R"("picture":"data:image/jpeg;base64,AAAA"}]})");
}

// The first bytes of a JPEG file, then an APP1 segment that says how the picture is turned.
std::string with_exif(std::string jpeg) {
  using namespace std::string_literals;
  return jpeg.insert(2,
                     "\xff\xe1\0\x22"
                     "Exif\0\0"
                     "II*\0\x08\0\0\0"
                     "\x01\0"
                     "\x12\x01\x03\0\x01\0\0\0\x06\0\0\0"
                     "\0\0\0\0"s);
}

void seed_images(const Seeds& seeds) {
  for (const auto& [name, png] : golden_files(".png")) {
    const Image image = decode_image(std::as_bytes(std::span(png)), name);
    seeds.add(name, png);
    const std::string jpeg = string_of(encode_jpeg(image, 80));
    seeds.add(name + ".jpeg", jpeg);
    seeds.add(name + ".exif.jpeg", with_exif(jpeg));
    for (const bool exact : {false, true}) {
      std::uint8_t* webp = nullptr;
      const std::size_t bytes =
          exact ? WebPEncodeLosslessRGB(image.rgb.data(), image.width, image.height, image.width * 3, &webp)
                : WebPEncodeRGB(image.rgb.data(), image.width, image.height, image.width * 3, 70, &webp);
      const std::unique_ptr<std::uint8_t, void (*)(void*)> owner(webp, WebPFree);
      seeds.add(name + (exact ? ".exact.webp" : ".webp"), {reinterpret_cast<const char*>(webp), bytes});
    }
  }
}

void seed_safetensors(const Seeds& seeds) {
  const std::pair<const char*, std::size_t> headers[] = {
      {R"({"x":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})", 8},
      {R"({"__metadata__":{"a":"b"}})", 0},
      {R"({"__metadata__":{"format":"pt"},"a":{"dtype":"I64","shape":[],"data_offsets":[0,8]},"b.weight":{"dtype":"BF16",)"
       R"("shape":[2,3],"data_offsets":[8,20]},"c":{"dtype":"U8","shape":[0,4],"data_offsets":[20,20]}})",
       20},
      {R"({"a":{"dtype":"F16","shape":[1,1,3],"data_offsets":[4,10]},"b":{"dtype":"I32","shape":[1],"data_offsets":[0,4]}})",
       10}};
  for (std::size_t i = 0; i < std::size(headers); ++i) {
    const std::uint64_t length = std::strlen(headers[i].first);
    std::string bytes(sizeof length, '\0');
    std::memcpy(bytes.data(), &length, sizeof length);
    seeds.add(text(i, ".safetensors"), bytes + headers[i].first + std::string(headers[i].second, '\1'));
  }
  seeds.add("pointer", "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n");
  seeds.add("zip", std::string("PK\x03\x04", 4) + std::string(60, '\0') + "archive/data.pkl");
}

void seed_numpy_archives(const Seeds& seeds) {
  using namespace std::string_literals;
  const std::string kernel = numpy_array("<f4", false, "(1, 1, 3, 2)", std::string(24, '\1')),
                    columns = numpy_array("<f2", true, "(2, 3)", std::string(12, '\2'));
  seeds.add("archive", "\0"s + zip_bytes({{"embedding/kernel.npy", kernel}, {"head/kernel.npy", columns}}));
  seeds.add("convolution", "\1" + kernel);
  seeds.add("fortran", "\1" + columns);
  seeds.add("structure", "\1" + numpy_array("|V8", false, "()", std::string(8, '\3')));
}

void seed_torch_files(const Seeds& seeds) {
  using namespace std::string_literals;
  const std::string pickle = pickled_tensor("module.a.b", 2), storage(8, '\1');
  const std::vector<ZipMember> members{{"x/data.pkl", pickle}, {"x/byteorder", "little"}, {"x/data/0", storage}};
  seeds.add("archive", "\0"s + zip_bytes(members));
  seeds.add("zip64", "\0"s + zip_bytes(members, true));
  seeds.add("sequence",
            "\0\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19.\x80\2M\xe9\3.\x80\2}X\x0d\0\0\0little_endian\x88s."s + pickle +
                "\x80\2]X\1\0\0\0"s + "0a." + little_endian(2, 8) + storage);
  seeds.add("pickle", "\1" + pickled_tensor("patch_embed.proj.weight", 16));
  seeds.add("wrapped", "\1\x80\2}q\0(X\5\0\0\0modelccollections\nOrderedDict\n)RX\5\0\0\0epochK\3X\1\0\0\0wh\0u."s);
  seeds.add("script", "\1c__torch__.M\nN\n)\x81}(X\1\0\0\0ac__torch__.N\n)\x81}bX\1\0\0\0tNub."s);
}

void seed_cards(const Seeds& seeds) {
  const auto add = [&](CardCase kind, const std::string& name, const std::string& text) {
    seeds.add(name, static_cast<char>(kind) + text);
  };
  add(CardCase::kTimm, "timm",
      R"({"architecture":"x","num_classes":2,"global_pool":"avg","model_args":{"embed_dim":64},"label_names":["a","b"],)"
      R"("label_descriptions":{"a":"c"},"pretrained_cfg":{"input_size":[3,224,224],"mean":[0.5,0.5,0.5],"std":[1,1,1],)"
      R"("crop_pct":0.9,"license":"mit"}})");
  add(CardCase::kTransformers, "transformers",
      R"({"model_type":"siglip","architectures":["X"],"id2label":{"0":"a"},"vision_config":{"image_size":384,)"
      R"("layer_norm_eps":1e-6,"hidden_act":"gelu"},"use_mean_pooling":true})");
  add(CardCase::kPreprocessor, "preprocessor",
      R"({"do_center_crop":true,"crop_size":{"height":224,"width":224},"size":{"shortest_edge":256},"resample":3,)"
      R"("image_mean":[0.5,0.5,0.5],"image_std":[1,1,1],"rescale_factor":0.00392156862745098,"crop_pct":0.9})");
  add(CardCase::kOpenClip, "open_clip",
      R"({"model_cfg":{"quick_gelu":true,"vision_cfg":{"image_size":224,"layers":12,"width":768,"head_width":64}},)"
      R"("preprocess_cfg":{"mean":[0.5,0.5,0.5],"resize_mode":"shortest"}})");
  add(CardCase::kReadme, "readme", "---\nlicense: other\nlicense_name: 'x'\n---\n");
}

void seed_packs(const Seeds& seeds) {
  const std::string card = "# A card\n", plan = std::string(700, '{');
  const PackManifest manifest(std::string(64, 'a'), {{"README.md", card.size(), xxh3(card)},
                                                     {"plan.json", plan.size(), xxh3(plan)},
                                                     {"recipes/00000.h5", 0, xxh3("")}});
  std::string members;
  for (const auto& [name, contents] : {std::pair{"README.md", card}, {"plan.json", plan}, {"recipes/00000.h5", ""}})
    members += tar_header(name, contents.size()) + contents + std::string(tar_padding(contents.size()), '\0');
  members += std::string(kTarEndBytes, '\0');
  seeds.add("whole", std::string(1, '\0') + manifest.head() + members);
  const std::string json = manifest.json();
  seeds.add("list", "\1" + json.substr(0, json.rfind(",\n  \"check\"")) + std::string(1, '\0') + members);
}

}  // namespace

int main(int count, char** words) {
  return guarded_main("fuzz_seeds", [&] {
    if (count != 2) fail("usage: fuzz_seeds DIRECTORY");
    const std::filesystem::path directory = words[1];
    seed_payloads(Seeds(directory / "payload"));
    seed_encodings(Seeds(directory / "encodings"));
    seed_containers(Seeds(directory / "container"));
    seed_chunks(Seeds(directory / "chunks"));
    seed_records(Seeds(directory / "records"));
    seed_run_files(Seeds(directory / "run_files"));
    seed_report(Seeds(directory / "report"));
    seed_images(Seeds(directory / "image"));
    seed_safetensors(Seeds(directory / "safetensors"));
    seed_torch_files(Seeds(directory / "torch_file"));
    seed_numpy_archives(Seeds(directory / "numpy_archive"));
    seed_cards(Seeds(directory / "card"));
    seed_packs(Seeds(directory / "pack"));
    return 0;
  });
}
