// Class text embeddings as the head of an image tower.
#include <ATen/ATen.h>

#include <cstdint>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/teacher.h"
#include "tests/support/files.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;

namespace {

/// A tower whose head is a projection to `projection` values (0: none), and class texts of `values` values.
struct Tower {
  vitrine::testing::TemporaryDirectory directory;
  std::filesystem::path weights = directory.path() / "tower.safetensors",
                        texts = directory.path() / "texts.safetensors";
  TeacherOptions options;
  TapOptions taps;

  explicit Tower(int projection) {
    at::manual_seed(3);
    VitOptions vit;
    vit.arch = "";
    vit.image_size = 32, vit.patch = 8, vit.dim = 16, vit.depth = 2, vit.heads = 2,
    vit.classes = std::max(1, projection);
    Tensors tensors = state_dict(*Vit(vit));
    if (projection == 0) tensors.erase("head.weight"), tensors.erase("head.bias");
    save_safetensors(weights, tensors);
    options.weights = weights.string();
    options.zero_shot = texts.string();
    options.heads = 2;
    options.micro_batch = 4;
    taps.embedding = true;
    taps.logits_encoding = taps.embedding_encoding = "fp32";
  }
  void save_texts(const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) const {
    save_safetensors(texts, tensors, metadata);
  }
};

std::vector<std::uint8_t> pictures() {
  std::vector<std::uint8_t> out(4 * 32 * 32 * 3);
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = static_cast<std::uint8_t>(i * 31 % 251);
  return out;
}

}  // namespace

TEST_CASE("zero-shot logits are scaled cosines of the image embedding and the class texts, plus a bias") {
  for (const int projection : {0, 6}) {
    CAPTURE(projection);
    const Tower tower(projection);
    const std::int64_t values = projection > 0 ? projection : 16;
    const at::Tensor text = at::randn({3, values}) * 5;  // rows of any length
    tower.save_texts(
        {{"text", text}, {"logit_scale", at::scalar_tensor(100.0f)}, {"logit_bias", at::scalar_tensor(-7.5f)}},
        {{"classes", R"(["ant", "bee", "cat"])"}});
    const Teacher teacher(tower.options, tower.taps);
    CHECK(teacher.classes() == 3);
    CHECK(teacher.class_names() == std::vector<std::string>{"ant", "bee", "cat"});
    const std::vector<TrackInfo> tracks = teacher.outputs();
    REQUIRE(tracks.size() == 2);
    CHECK(tracks[0].shape == std::vector<std::uint32_t>{3});
    CHECK(tracks[1].shape == std::vector<std::uint32_t>{static_cast<std::uint32_t>(values)});
    CHECK(tracks[0].teacher.zero_shot);

    std::vector<std::vector<float>> found = teacher.run(pictures(), 4);
    const at::Tensor embedding = at::from_blob(found[1].data(), {4, values}, at::kFloat).to(at::kDouble);
    const at::Tensor logits = at::from_blob(found[0].data(), {4, 3}, at::kFloat).to(at::kDouble);
    const at::Tensor cosines = at::cosine_similarity(embedding.unsqueeze(1), text.to(at::kDouble).unsqueeze(0), 2);
    CHECK((logits - (100 * cosines - 7.5)).abs().max().item<double>() < 1e-4);

    // The tower's own outputs are as without the texts.
    TeacherOptions bare = tower.options;
    bare.zero_shot = "";
    TapOptions taps = tower.taps;
    taps.embedding = projection == 0;
    const std::vector<std::vector<float>> own = Teacher(bare, taps).run(pictures(), 4);
    CHECK(own[0] == found[1]);
  }
}

TEST_CASE("a tower with class texts gives the attention rollouts that it gives without") {
  Tower tower(6);
  tower.save_texts({{"text", at::randn({3, 6})}, {"logit_scale", at::scalar_tensor(100.0f)}});
  tower.taps = {.attention = {0, -1}, .attention_rollout = true};
  tower.taps.attention_encoding = "fp32";
  const Teacher teacher(tower.options, tower.taps);
  REQUIRE(teacher.outputs().size() == 3);
  CHECK(teacher.outputs()[1].rollout);
  TeacherOptions bare = tower.options;
  bare.zero_shot = "";
  const std::vector<std::vector<float>> found = teacher.run(pictures(), 4),
                                        own = Teacher(bare, tower.taps).run(pictures(), 4);
  REQUIRE(own.size() == 3);
  CHECK(found[0].size() == 4u * 3);
  CHECK(found[1] == own[1]);
  CHECK(found[2] == own[2]);
}

TEST_CASE("class texts that do not fit are refused with the file and what is wrong") {
  const Tower tower(6);
  const at::Tensor scale = at::scalar_tensor(100.0f), text = at::randn({3, 6});
  const auto refused = [&](const Tensors& tensors, const std::map<std::string, std::string>& metadata = {}) {
    tower.save_texts(tensors, metadata);
    const std::string message = message_of([&] { Teacher(tower.options, tower.taps); });
    CHECK(has(message, "texts.safetensors"));
    return message;
  };
  CHECK(has(refused({{"logit_scale", scale}}), "has no tensor \"text\""));
  CHECK(has(refused({{"text", text}}), "has no tensor \"logit_scale\""));
  CHECK(has(refused({{"text", text}, {"logit_scale", at::ones({2})}}), "expected a single number"));
  CHECK(has(refused({{"text", at::randn({1, 6})}, {"logit_scale", scale}}), "at least two classes"));
  CHECK(has(refused({{"text", at::zeros({3, 6})}, {"logit_scale", scale}}), "a row of zeros"));
  CHECK(has(refused({{"text", at::full({3, 6}, std::numeric_limits<float>::quiet_NaN())}, {"logit_scale", scale}}),
            "not finite"));
  CHECK(has(refused({{"text", text}, {"logit_scale", scale}}, {{"classes", R"(["ant"])"}}), "names 1 classes"));
  CHECK(has(refused({{"text", at::randn({3, 5})}, {"logit_scale", scale}}), "6 (its projection) or 16"));
}
