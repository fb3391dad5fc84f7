// Finding weight files and reading them: directories, shards, dtypes, hashes.
#include <ATen/ATen.h>

#include "common/models/weights/weights.h"

#include "common/base/error.h"
#include "common/base/hash.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/support/zip_bytes.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::little_endian;
using vitrine::testing::message_of;
using vitrine::testing::pickled_tensor;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;
using vitrine::testing::zip_bytes;

namespace {

const Tensors kTensors{{"a.weight", at::ones({2})}};

std::string chosen(const TemporaryDirectory& directory) {
  return find_weight_files(directory / "").at(0).filename().string();
}

std::string safetensors_of(const std::string& header, std::size_t data_bytes) {
  return little_endian(header.size(), 8) + header + std::string(data_bytes, '\1');
}

/// A model of two shards: "a" in the first, "b" and "c" in the second.
void write_shards(const TemporaryDirectory& directory, const std::string& index) {
  save_safetensors(directory / "model-00001-of-00002.safetensors", {{"a", at::zeros({1})}});
  save_safetensors(directory / "model-00002-of-00002.safetensors", {{"b", at::ones({1})}, {"c", at::ones({2})}});
  write_whole(directory / "model.safetensors.index.json", index);
}
const std::string kIndex =
    R"({"metadata": {"total_size": 16}, "weight_map": {"a": "model-00001-of-00002.safetensors",
    "b": "model-00002-of-00002.safetensors", "c": "model-00002-of-00002.safetensors"}})";

std::string shards_refusal(const std::string& index) {
  const TemporaryDirectory directory;
  write_shards(directory, index);
  return message_of([&] { read_weights(directory / ""); });
}

}  // namespace

TEST_CASE("the best file of a directory is taken, and that is said") {
  const TemporaryDirectory directory;
  const std::string pth =
      zip_bytes({{"x/data.pkl", pickled_tensor("a.weight", 2)}, {"x/data/0", std::string(8, '\0')}});
  write_whole(directory / "optimizer.pt", "x");
  write_whole(directory / "training_args.bin", "x");
  // From the last to the first.
  for (const char* name : {"b.pth", "open_clip_pytorch_model.bin", "pytorch_model.bin"}) {
    write_whole(directory / name, pth);
    CHECK(chosen(directory) == name);
  }
  CHECK(read_weights(directory / "").tensors.contains("a.weight"));
  for (const char* name : {"other.safetensors", "open_clip_model.safetensors", "model.safetensors"}) {
    save_safetensors(directory / name, kTensors);
    CHECK(chosen(directory) == name);
  }
  const WeightFiles weights = read_weights(directory / "");
  REQUIRE(weights.notes.size() == 1);
  CHECK(weights.notes[0].ends_with("took model.safetensors."));
  CHECK(read_weights(directory / "model.safetensors").notes.empty());
}

TEST_CASE("a run of vitrine-train is its best weights, else its last, also by the folder that holds them") {
  const TemporaryDirectory directory;
  const std::filesystem::path run = directory / "run", exported = run / "exported";
  std::filesystem::create_directories(exported);
  save_safetensors(exported / "last.safetensors", kTensors);
  CHECK(main_weight_file(run) == exported / "last.safetensors");
  for (const char* name : {"best.safetensors", "student.safetensors"}) save_safetensors(exported / name, kTensors);
  CHECK(main_weight_file(run) == exported / "best.safetensors");
  CHECK(main_weight_file(exported) == exported / "best.safetensors");
  save_safetensors(run / "own.safetensors", kTensors);  // its own files count first, as in any folder
  CHECK(main_weight_file(run) == run / "own.safetensors");
}

TEST_CASE("candidates of equal rank, parts without an index and nothing at all are refused") {
  const TemporaryDirectory directory;
  CHECK(has(message_of([&] { read_weights(directory / ""); }), "has no weight file"));
  write_whole(directory / "model-00001-of-00002.safetensors", "");
  CHECK(has(message_of([&] { read_weights(directory / ""); }), "parts of a model and no index"));
  write_whole(directory / "a.pth", "");
  write_whole(directory / "b.pt", "");
  CHECK(has(message_of([&] { read_weights(directory / ""); }), "has several weight files (a.pth, b.pt); name one"));
  CHECK(has(message_of([&] { read_weights(directory / "c.pth"); }), "c.pth"));
  CHECK(has(message_of([&] { read_weights(directory / "a.pth"); }), "a.pth: is empty"));
}

TEST_CASE("only numbers around -of- make a part of a model") {
  const TemporaryDirectory directory;
  save_safetensors(directory / "vit-of-mine.safetensors", kTensors);
  write_whole(directory / "other-00001-of-00002.safetensors", "");
  CHECK(has(read_weights(directory / "").notes.at(0), "took vit-of-mine.safetensors."));
}

TEST_CASE("a sharded model is read from its directory and from its index, with a hash over its files' hashes") {
  const TemporaryDirectory directory;
  write_shards(directory, kIndex);
  const WeightFiles weights = read_weights(directory / "");
  CHECK(weights.tensors.size() == 3);
  CHECK(at::equal(weights.tensors.at("c"), at::ones({2})));
  REQUIRE(weights.files.size() == 2);
  std::string hashes;
  for (const auto& file : weights.files) hashes += sha256_hex(read_whole(file)) + "\n";
  CHECK(weights.sha256 == sha256_hex(hashes));
  CHECK(sha256_of_weights(directory / "model.safetensors.index.json") == weights.sha256);
}

TEST_CASE("the hash of one file is the file's") {
  const TemporaryDirectory directory;
  save_safetensors(directory / "x.safetensors", kTensors, {{"key", "value"}});
  const WeightFiles weights = read_weights(directory / "x.safetensors");
  CHECK(weights.sha256 == sha256_hex(read_whole(directory / "x.safetensors")));
  CHECK(sha256_of_weights(directory / "") == weights.sha256);
  CHECK(weights.metadata.at("key") == "value");
}

TEST_CASE("an index that disagrees with its shards is refused") {
  const auto with = [](const std::string& from, const std::string& to) {
    std::string index = kIndex;
    return index.replace(index.find(from), from.size(), to);
  };
  CHECK(has(shards_refusal("{"), "is not a JSON object with a weight_map"));
  CHECK(has(shards_refusal(R"({"weight_map": []})"), "is not a JSON object with a weight_map"));
  CHECK(has(shards_refusal(R"({"weight_map": {}})"), "lists no tensors"));
  CHECK(has(shards_refusal(R"({"weight_map": {"a": 1}})"), "no file name for \"a\""));
  CHECK(has(shards_refusal(R"({"weight_map": {"a": "../x"}})"), "\"../x\", which is not a file beside it"));
  CHECK(has(shards_refusal(with("model-00001", "model-00003")),
            "index.json: lists model-00003-of-00002.safetensors, which is missing"));
  CHECK(has(shards_refusal(with("\"b\": \"model-00002", "\"b\": \"model-00001")),
            "model-00001-of-00002.safetensors: lacks tensor \"b\", which its index puts there"));
  CHECK(has(shards_refusal(with("\"c\"", "\"d\"")), "has tensor \"c\", which its index does not list"));
  CHECK(has(shards_refusal(
                R"({"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors",
    "c": "model-00001-of-00002.safetensors"}})"),
            "lacks tensor \"c\""));
}

TEST_CASE(
    "other dtypes: F64 becomes F32, small integers and BOOL stay, an unknown one is an error where it is needed") {
  const TemporaryDirectory directory;
  write_whole(directory / "a.safetensors", safetensors_of(R"({"b":{"dtype":"BOOL","shape":[2],"data_offsets":[8,10]},)"
                                                          R"("d":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                                                          R"("i":{"dtype":"I8","shape":[1],"data_offsets":[10,11]}})",
                                                          11));
  const WeightFiles weights = read_weights(directory / "a.safetensors");
  CHECK((weights.tensors.at("d").scalar_type() == at::kFloat));
  CHECK((weights.tensors.at("b").scalar_type() == at::kBool));
  CHECK((weights.tensors.at("i").scalar_type() == at::kChar));
  CHECK(has(weights.notes.at(0), "converted 1 tensor from F64 to F32"));

  const std::string vit = R"("patch_embed.proj.weight":{"dtype":"U8","shape":[1,3,1,1],"data_offsets":[0,3]},)"
                          R"("blocks.0.norm1.weight":{"dtype":"U8","shape":[1],"data_offsets":[3,4]},)";
  const std::string quarter = R"(":{"dtype":"F4","shape":[2],"data_offsets":[4,5]}})";
  write_whole(directory / "b.safetensors", safetensors_of("{" + vit + "\"mask_token" + quarter, 5));
  CHECK(read_weights(directory / "b.safetensors").tensors.size() == 2);
  write_whole(directory / "c.safetensors", safetensors_of("{" + vit + "\"norm" + quarter, 5));
  CHECK(has(message_of([&] { read_weights(directory / "c.safetensors"); }),
            "c.safetensors: tensor \"norm\" has dtype F4, which is not read"));
}
