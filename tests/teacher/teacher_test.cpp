#include "common/teacher/teacher.h"

#include <torch/torch.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/image/scan.h"
#include "common/image/write.h"
#include "common/models/load.h"
#include "common/models/safetensors.h"
#include "common/teacher/clean_crops.h"
#include "common/teacher/outputs.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::TemporaryDirectory;

namespace {

constexpr int kSize = 16, kClasses = 2;
constexpr std::size_t kView = kSize * kSize * 3;

VitOptions small_vit() {
  VitOptions options;
  options.arch = "";
  options.image_size = kSize, options.patch = 8, options.dim = 16, options.depth = 2, options.heads = 2;
  options.classes = kClasses;
  return options;
}

struct Sample {
  TemporaryDirectory root;
  TeacherOptions options;
  TapOptions taps;

  Sample() {
    torch::manual_seed(3);
    options.weights = (root / "small.safetensors").string();
    save_safetensors(options.weights, state_dict(*Vit(small_vit())));
    options.vit = small_vit();
    options.micro_batch = 4;
    taps.features = {-1, 0};
    taps.attention = {1};
  }
};

std::vector<std::uint8_t> noise(std::size_t views) {
  std::vector<std::uint8_t> pictures(views * kView);
  Stream draws(11, Purpose::kSample);
  for (auto& value : pictures) value = static_cast<std::uint8_t>(draws.bits());
  return pictures;
}

Plan plan_of(std::uint32_t group = 8, std::uint32_t image_size = kSize) {
  const auto index = std::make_shared<ImageIndex>();
  index->classes = {"a", "b"};
  index->images = {{.id = "a/0", .height = 9, .width = 9}, {.id = "b/0", .height = 9, .width = 9, .label = 1}};
  PlanOptions options;
  options.group = group, options.image_size = image_size;
  return Plan(index, options);
}

}  // namespace

TEST_CASE("tracks come in the order of the taps, and say how they were made") {
  const Sample sample;
  const Teacher teacher(sample.options, sample.taps);
  const std::vector<TrackInfo> tracks = teacher.tracks(plan_of());
  REQUIRE(tracks.size() == 4);
  CHECK(tracks[0].name() == "logits");
  CHECK(tracks[1].name() == "features.1");
  CHECK(tracks[2].name() == "features.0");
  CHECK(tracks[3].name() == "attention.1");
  using Shape = std::vector<std::uint32_t>;
  CHECK((tracks[0].shape == Shape{2}));
  CHECK((tracks[1].shape == Shape{16, 2, 2}));
  CHECK((tracks[3].shape == Shape{2, 2, 2}));
  for (const TrackInfo& track : tracks) {
    CHECK(track.teacher == "small");  // the weight file's name, as no architecture is named
    CHECK(track.weights_sha256 == sha256_hex_of_file(sample.options.weights));
    CHECK(track.provenance.at("arithmetic") == "fp32");
    CHECK(track.provenance.at("micro_batch") == "4");
    CHECK(track.provenance.at("class_list_sha256") == sha256_hex("a\nb\n"));
    CHECK(track.provenance.at("libtorch") == TORCH_VERSION);
    if (track.codec.form != Form::kTransform) track.check("test");  // its basis is yet to be made
  }
  CHECK_THROWS_WITH_AS(teacher.tracks(plan_of(6)),
                       doctest::Contains("teacher.micro_batch = 4 does not divide plan.group = 6"), Error);
  CHECK_THROWS_WITH_AS(teacher.tracks(plan_of(8, 24)),
                       doctest::Contains("plan.image_size = 24 is not the teacher's 16"), Error);
}

TEST_CASE("a run is the model's forward on normalised pictures, micro-batch by micro-batch") {
  at::set_num_threads(1);
  const Sample sample;
  const Teacher teacher(sample.options, sample.taps);
  const std::vector<std::uint8_t> pictures = noise(8);
  const auto values = teacher.run(pictures, 8);
  REQUIRE(values.size() == 4);

  Vit vit(small_vit());
  load_weights(*vit, load_safetensors(sample.options.weights), "test");
  vit->eval();
  const torch::NoGradGuard no_grad;
  const at::Tensor mean = torch::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1});
  const at::Tensor deviation = torch::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1});
  const at::Tensor bytes =
      torch::from_blob(const_cast<std::uint8_t*>(pictures.data()), {8, kSize, kSize, 3}, at::kByte);
  const at::Tensor x = (bytes.to(at::kFloat).permute({0, 3, 1, 2}) / 255 - mean) / deviation;
  const VitOutputs expected = vit->forward(x, {.features = {1, 0}, .attentions = {1}});
  const std::vector<at::Tensor> parts{expected.logits, expected.features[0], expected.features[1],
                                      expected.attentions[0]};
  for (std::size_t track = 0; track < 4; ++track) {
    CAPTURE(track);
    const at::Tensor ours = torch::tensor(values[track]).view(parts[track].sizes());
    // One batch of eight against two of four, and a different order of the normalisation's operations.
    CHECK(at::allclose(ours, parts[track], 1e-4, 1e-5));
    CHECK(parts[track].std().item<double>() > 1e-4);
  }

  CHECK_THROWS_AS(teacher.run(std::span(pictures).first(6 * kView), 6), std::logic_error);
  CHECK_THROWS_AS(teacher.run(std::span(pictures).first(5), 8), std::logic_error);
}

TEST_CASE("values do not depend on the views beside a micro-batch nor on the thread") {
  at::set_num_threads(1);
  Sample sample;
  for (const char* precision : {"fp32", "bf16"}) {
    CAPTURE(precision);
    sample.options.precision = precision;
    const Teacher teacher(sample.options, sample.taps);
    const std::vector<std::uint8_t> pictures = noise(8);
    const auto whole = teacher.run(pictures, 8);
    std::vector<std::vector<std::vector<float>>> halves(4);
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 4; ++i)
      threads.emplace_back([&, i] {
        at::set_num_threads(1);
        halves[i] = teacher.run(std::span(pictures).subspan(i % 2 * 4 * kView, 4 * kView), 4);
      });
    for (std::thread& thread : threads) thread.join();
    for (std::size_t i = 0; i < 4; ++i)
      for (std::size_t track = 0; track < whole.size(); ++track) {
        const std::size_t half = whole[track].size() / 2;
        REQUIRE(halves[i][track].size() == half);
        CHECK(std::memcmp(halves[i][track].data(), whole[track].data() + i % 2 * half, half * sizeof(float)) == 0);
      }
    // Padding the last micro-batch leaves the others' logits alone.
    const std::vector<float> five = teacher.logits(std::span(pictures).first(5 * kView), 5);
    REQUIRE(five.size() == 5 * kClasses);
    CHECK(std::memcmp(five.data(), whole[0].data(), five.size() * sizeof(float)) == 0);
  }
}

TEST_CASE("an output that is not finite names its view and block") {
  Sample sample;
  Tensors weights = load_safetensors(sample.options.weights);
  weights.at("blocks.1.mlp.fc2.bias")[0] = std::numeric_limits<float>::infinity();
  save_safetensors(sample.options.weights, weights);
  sample.taps.logits = false;
  sample.taps.attention = {};
  sample.taps.features = {0, 1};
  const Teacher teacher(sample.options, sample.taps);
  const std::vector<std::uint8_t> pictures = noise(4);
  CHECK_THROWS_WITH_AS(teacher.run(pictures, 4), doctest::Contains("features of block 1 of view 0 are not finite"),
                       Error);
  CHECK_THROWS_WITH_AS(teacher.logits(pictures, 4), doctest::Contains("logits of view 0 are not finite"), Error);
}

TEST_CASE("weights, blocks and forms that do not fit are refused") {
  Sample sample;
  const auto refused = [&](const char* words) {
    CHECK_THROWS_WITH_AS(Teacher(sample.options, sample.taps), doctest::Contains(words), Error);
  };
  SUBCASE("no weights") {
    sample.options.weights = "", refused("teacher.weights is not given");
  }
  SUBCASE("another head") {
    sample.options.vit.classes = 3, refused("head.");
  }
  SUBCASE("a block beyond the last") {
    sample.taps.features = {2}, refused("taps.features names block 2");
  }
  SUBCASE("a block before the first") {
    sample.taps.attention = {-3}, refused("taps.attention names block -3");
  }
  SUBCASE("an unknown form") {
    sample.taps.attention_form = "fp4", refused("taps.attention_form");
  }
  SUBCASE("square roots of logits") {
    sample.taps.logits_form = "sqrt8", refused("sqrt8");
  }
  SUBCASE("four colours") {
    sample.options.deviation = {1, 1, 1, 1}, refused("teacher.deviation has 4 numbers");
  }
}

TEST_CASE("groups that cannot be stored are refused before anything runs, with the largest that can") {
  Sample sample;
  sample.options.micro_batch = 16;
  sample.options.vit.classes = 60'000;
  sample.taps.features = {}, sample.taps.attention = {};
  torch::manual_seed(3);
  save_safetensors(sample.options.weights, state_dict(*Vit(sample.options.vit)));
  const auto refused = [&](const char* form, std::uint32_t group, const char* words) {
    sample.taps.logits_form = form;
    CAPTURE(form);
    CHECK_THROWS_WITH_AS(Teacher(sample.options, sample.taps).tracks(plan_of(group)), doctest::Contains(words), Error);
  };
  refused("fp32", 32'000,
          "plan.group = 32000 is too large for logits as fp32, 60000 values per view: at most 17888 works");
  refused("uniform", 32'000, "at most 17888 works");
  refused("fp16", 48'000, "at most 35776 works");
  CHECK(Teacher(sample.options, sample.taps).tracks(plan_of(35'776)).size() == 1);
}

TEST_CASE("through the codec a value moves by no more than its form's step") {
  at::set_num_threads(1);
  Sample sample;
  sample.taps.features_form = "int8";
  const Teacher teacher(sample.options, sample.taps);
  const auto tracks = teacher.tracks(plan_of());
  const auto raw = teacher.run(noise(8), 8);
  for (std::size_t track = 0; track < tracks.size(); ++track) {
    std::vector<float> decoded = raw[track];
    through_codec(*make_codec(tracks[track].codec, tracks[track].shape), 8, decoded);
    bool moved = false;
    for (std::size_t i = 0; i < decoded.size(); ++i) {
      moved = moved || decoded[i] != raw[track][i];
      const double x = raw[track][i], y = decoded[i];
      if (tracks[track].codec.form == Form::kUniform) CHECK(std::abs(x - y) <= 1.0 / 64);
      if (tracks[track].codec.form == Form::kSqrt8) CHECK(std::abs(std::sqrt(x) - std::sqrt(y)) <= 0.5 / 255 + 1e-6);
      if (tracks[track].codec.form == Form::kInt8)
        CHECK(std::abs(x - y) <= 4.0 / 254);  // of 16 normalised channels none exceeds sqrt(16)
    }
    CHECK(moved);
    // What was decoded is a fixed point of the forms that have no scale of their own.
    if (tracks[track].codec.form == Form::kInt8) continue;
    std::vector<float> twice = decoded;
    through_codec(*make_codec(tracks[track].codec, tracks[track].shape), 8, twice);
    CHECK((twice == decoded));
  }
}

TEST_CASE("of attention, all heads are kept, or some, or their mean") {
  at::set_num_threads(1);
  Sample sample;
  sample.taps.logits = false, sample.taps.features = {}, sample.taps.attention_form = "fp32";
  const std::vector<std::uint8_t> pictures = noise(4);
  const auto run = [&] {
    const Teacher teacher(sample.options, sample.taps);
    return std::pair{teacher.tracks(plan_of())[0], teacher.run(pictures, 4)[0]};
  };
  const auto [all_track, all] = run();
  CHECK(all_track.provenance.at("heads") == "all");
  const at::Tensor both = torch::tensor(all).view({4, 2, 2, 2});
  sample.taps.attention_heads = {1};
  const auto [one_track, one] = run();
  CHECK((one_track.shape == std::vector<std::uint32_t>{1, 2, 2}));
  CHECK(one_track.provenance.at("heads") == "1");
  CHECK(at::equal(torch::tensor(one).view({4, 1, 2, 2}), both.narrow(1, 1, 1)));
  sample.taps.attention_heads = {}, sample.taps.attention_mean = true;
  const auto [mean_track, mean] = run();
  CHECK((mean_track.shape == std::vector<std::uint32_t>{1, 2, 2}));
  CHECK(mean_track.provenance.at("heads") == "mean of all");
  CHECK(at::equal(torch::tensor(mean).view({4, 1, 2, 2}), both.mean(1, true)));
  sample.taps.attention_heads = {0, 2};
  CHECK_THROWS_WITH_AS(run(), doctest::Contains("names head 2, but the teacher has heads 0 to 1"), Error);
  sample.taps.attention_heads = {1, 1};
  CHECK_THROWS_WITH_AS(run(), doctest::Contains("names head 1 twice"), Error);
}

TEST_CASE("outputs that are short, empty, too long or not finite are named with their view and block") {
  const auto refusal = [](std::vector<float> values) {
    try {
      check_output(values, 3, 4, "features of block 7", "bf16");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  std::vector<float> values(12, 1.0f);
  CHECK(refusal(values).empty());
  values[9] = NAN;
  CHECK(refusal(values).starts_with("the teacher's features of block 7 of view 2 are not finite"));
  values[9] = 1, values[3] = -std::numeric_limits<float>::infinity();
  CHECK(refusal(values).starts_with("the teacher's features of block 7 of view 0 are not finite"));
  CHECK(refusal({}).starts_with("the teacher's features of block 7 of view 0 are missing or short"));
  CHECK(refusal(std::vector<float>(8, 1.0f)).starts_with("the teacher's features of block 7 of view 2 are missing"));
  CHECK(refusal(std::vector<float>(13, 1.0f)).find("too many: 3 views gave 13 values, expected 4") !=
        std::string::npos);
}

TEST_CASE("chance is three standard errors wide") {
  // 100 classes, 256 images: 0.01 + 3 sqrt(0.01 * 0.99 / 256) = 0.02866.
  CHECK(at_chance({.top1 = 0.0286, .images = 256}, 100));
  CHECK_FALSE(at_chance({.top1 = 0.0287, .images = 256}, 100));
  CHECK(at_chance({.top1 = 0, .images = 256}, 100));
  // Two images of two classes tell nothing.
  CHECK(at_chance({.top1 = 1, .images = 2}, 2));
  // 0.5 + 3 * 0.5 / sqrt(40) = 0.737.
  CHECK_FALSE(at_chance({.top1 = 0.75, .images = 40}, 2));
}

TEST_CASE("clean crops tell a teacher that knows its classes from one whose classes are in another order") {
  at::set_num_threads(1);
  Sample sample;
  // Class "bright" has grey levels from 160, class "dark" up to 96.
  Stream draws(2, Purpose::kSample);
  for (const std::string name : {"bright", "dark"})
    for (int i = 0; i < 10; ++i) {
      Image image(20 + i, 28 - i);
      const auto level = static_cast<std::uint8_t>((name == "bright" ? 160 : 32) + draws.below(64));
      std::fill(image.rgb.begin(), image.rgb.end(), level);
      const auto bytes = encode_png(image);
      vitrine::testing::write_whole(sample.root / "images" / name / (std::to_string(i) + ".png"),
                                    {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  Vit vit(small_vit());
  load_weights(*vit, load_safetensors(sample.options.weights), "test");
  const at::Tensor levels = torch::cat({torch::linspace(160, 223, 16), torch::linspace(32, 95, 16)}) / 255;
  const at::Tensor x = ((levels - 0.45) / 0.225).view({32, 1, 1, 1}).expand({32, 3, kSize, kSize}).contiguous();
  const at::Tensor labels = torch::cat({torch::zeros(16, at::kLong), torch::ones(16, at::kLong)});
  torch::optim::AdamW optimizer(vit->parameters(), torch::optim::AdamWOptions(3e-3));
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    torch::nn::functional::cross_entropy(vit->forward(x).logits, labels).backward();
    optimizer.step();
  }
  save_safetensors(sample.options.weights, state_dict(*vit));

  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(sample.root / "images", nullptr));
  const ViewMaker views(sample.root / "images", index, kSize);
  const Accuracy good = clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 18, 1);
  CHECK(good.images == 18);
  CHECK(good.top1 == 1);
  CHECK_FALSE(at_chance(good, 2));
  CHECK(clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 256, 1).images == 20);
  for (const std::uint32_t workers : {2u, 5u}) {
    const Accuracy same =
        clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 18, 1, nullptr, workers);
    CHECK(same.images == good.images);
    CHECK(same.top1 == good.top1);
    CHECK(same.top5 == good.top5);
  }

  Tensors swapped = load_safetensors(sample.options.weights);
  for (const char* name : {"head.weight", "head.bias"}) swapped.at(name) = swapped.at(name).flip(0);
  save_safetensors(sample.options.weights, swapped);
  const Accuracy wrong = clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 18, 1);
  CHECK(wrong.top1 == 0);
  CHECK(at_chance(wrong, 2));
}
