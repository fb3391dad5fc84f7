#include "common/teacher/teacher.h"

#include <torch/version.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/codec/make_codec.h"
#include "common/models/device.h"
#include "common/models/vit/vit.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/check_output.h"
#include "common/teacher/reopen.h"
#include "tests/support/device.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/teacher/sample.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::kClasses;
using vitrine::testing::kSide;
using vitrine::testing::kView;
using vitrine::testing::Sample;
using vitrine::testing::small_vit;

namespace {

std::vector<std::uint8_t> noise(std::size_t views) {
  std::vector<std::uint8_t> pictures(views * kView);
  RandomStream draws(11, Purpose::kSample);
  for (auto& value : pictures) value = static_cast<std::uint8_t>(draws.bits());
  return pictures;
}

Plan plan_of(std::uint32_t group = 8, std::uint32_t image_size = kSide) {
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
    CHECK(track.teacher.name == "small");  // the weight file's name, as no architecture is named
    CHECK(track.teacher.weights_sha256 == sha256_hex_of_file(sample.options.weights));
    CHECK(track.teacher.class_list_sha256 == sha256_hex("a\nb\n"));
    CHECK(track.teacher.architecture.family == "vit");
    CHECK(has(track.teacher.architecture.settings, "\"dim\":16,"));
    CHECK(track.teacher.mean == std::vector<double>{0.485, 0.456, 0.406});  // assumed, and filled in
    CHECK(track.teacher.crop_pct == 0.9);
    CHECK(track.made_with.precision == "fp32");
    CHECK(track.made_with.micro_batch == 4);
    // What computes on a CPU, and nothing else.
    CHECK(track.made_with.device == describe_device(at::kCPU));
    CHECK(track.made_with.device.kind == "cpu");
    CHECK(track.made_with.device.name != "");
    CHECK(track.made_with.device.capability == at::get_cpu_capability());
    CHECK(track.made_with.device.libraries == std::map<std::string, std::string>{{"libtorch", TORCH_VERSION}});
    if (track.codec.encoding != Encoding::kTransform) track.check("test");  // its basis is yet to be made
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
  const at::NoGradGuard no_grad;
  const at::Tensor mean = at::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1});
  const at::Tensor stddev = at::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1});
  const at::Tensor bytes = at::from_blob(const_cast<std::uint8_t*>(pictures.data()), {8, kSide, kSide, 3}, at::kByte);
  const at::Tensor x = (bytes.to(at::kFloat).permute({0, 3, 1, 2}) / 255 - mean) / stddev;
  const VitOutputs expected = vit->forward(x, {.features = {1, 0}, .attentions = {1}});
  const std::vector<at::Tensor> parts{expected.logits, expected.features[0], expected.features[1],
                                      expected.attentions[0]};
  for (std::size_t track = 0; track < 4; ++track) {
    CAPTURE(track);
    const at::Tensor ours = at::tensor(values[track]).view(parts[track].sizes());
    // One batch of eight against two of four, and a different order of the normalisation's operations.
    CHECK(at::allclose(ours, parts[track], 1e-4, 1e-5));
    CHECK(parts[track].std().item<double>() > 1e-4);
  }

  CHECK_THROWS_AS(teacher.run(std::span(pictures).first(6 * kView), 6), std::logic_error);
  CHECK_THROWS_AS(teacher.run(std::span(pictures).first(5), 8), std::logic_error);
}

TEST_CASE("values depend neither on the other views of a micro-batch nor on the thread") {
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

TEST_CASE("weights, blocks and encodings that do not fit are refused") {
  Sample sample;
  const auto refused = [&](const char* words) {
    CHECK_THROWS_WITH_AS(Teacher(sample.options, sample.taps), doctest::Contains(words), Error);
  };
  SUBCASE("no weights") {
    sample.options.weights = "", refused("teacher.weights is not given");
  }
  SUBCASE("heads that do not divide the width") {
    sample.options.heads = 3, refused("heads");
  }
  SUBCASE("another architecture") {
    sample.options.arch = "vit_tiny_patch16_224", refused("vit_tiny_patch16_224");
  }
  SUBCASE("an unknown crop") {
    sample.options.crop_mode = "border", refused("teacher.crop_mode");
  }
  SUBCASE("no weights and a module without consent") {
    sample.options.weights = "", sample.options.module = "teacher.pt", refused("--allow module");
  }
  SUBCASE("a block beyond the last") {
    sample.taps.features = {2}, refused("taps.features names block 2");
  }
  SUBCASE("a block before the first") {
    sample.taps.attention = {-3}, refused("taps.attention names block -3");
  }
  SUBCASE("an unknown encoding") {
    sample.taps.attention_encoding = "fp4", refused("taps.attention_encoding");
  }
  SUBCASE("square roots of logits") {
    sample.taps.logits_encoding = "sqrt8", refused("sqrt8");
  }
  SUBCASE("four colours") {
    sample.options.stddev = {1, 1, 1, 1}, refused("teacher.std has 4 numbers");
  }
}

TEST_CASE("groups that cannot be stored are refused before anything runs, with the largest that can") {
  Sample sample;
  sample.options.micro_batch = 16;
  sample.taps.features = {}, sample.taps.attention = {};
  at::manual_seed(3);
  save_safetensors(sample.options.weights, state_dict(*Vit(small_vit(60'000))));
  const auto refused = [&](const char* encoding, std::uint32_t group, const char* words) {
    sample.taps.logits_encoding = encoding;
    CAPTURE(encoding);
    CHECK_THROWS_WITH_AS(Teacher(sample.options, sample.taps).tracks(plan_of(group)), doctest::Contains(words), Error);
  };
  refused("fp32", 32'000,
          "plan.group = 32000 is too large for logits as fp32, 60000 values per view: at most 17888 works");
  refused("uniform", 32'000, "at most 17888 works");
  refused("fp16", 48'000, "at most 35776 works");
  CHECK(Teacher(sample.options, sample.taps).tracks(plan_of(35'776)).size() == 1);
}

TEST_CASE("through the codec a value moves by no more than its encoding's step") {
  at::set_num_threads(1);
  Sample sample;
  sample.taps.features_encoding = "int8";
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
      if (tracks[track].codec.encoding == Encoding::kUniform) CHECK(std::abs(x - y) <= 1.0 / 64);
      if (tracks[track].codec.encoding == Encoding::kSqrt8)
        CHECK(std::abs(std::sqrt(x) - std::sqrt(y)) <= 0.5 / 255 + 1e-6);
      if (tracks[track].codec.encoding == Encoding::kInt8)
        CHECK(std::abs(x - y) <= 4.0 / 254);  // of 16 normalised channels none exceeds sqrt(16)
    }
    CHECK(moved);
    // What was decoded is a fixed point of the encodings that have no scale of their own.
    if (tracks[track].codec.encoding == Encoding::kInt8) continue;
    std::vector<float> twice = decoded;
    through_codec(*make_codec(tracks[track].codec, tracks[track].shape), 8, twice);
    CHECK((twice == decoded));
  }
}

TEST_CASE("a BF16 teacher's cached logits keep their bound against its own head in double") {
  at::set_num_threads(1);
  Sample sample;
  sample.options.precision = "bf16";
  sample.taps = {.logits = true};
  // The same trunk under a head that hands its input out, and under one whose logits reach beyond 8.
  Tensors weights = load_safetensors(sample.options.weights);
  at::manual_seed(8);
  const at::Tensor head = at::randn({kClasses, 16}) * 4, bias = at::randn({kClasses});
  weights["head.weight"] = at::eye(16), weights["head.bias"] = at::zeros({16});
  TeacherOptions trunk_options = sample.options;
  trunk_options.weights = (sample.root / "trunk.safetensors").string();
  save_safetensors(trunk_options.weights, weights);
  weights["head.weight"] = head, weights["head.bias"] = bias;
  save_safetensors(sample.options.weights, weights);

  const std::vector<std::uint8_t> pictures = noise(64);
  const std::vector<float> trunk = Teacher(trunk_options, sample.taps).logits(pictures, 64);
  const at::Tensor expected =
      at::linear(at::tensor(trunk).view({64, 16}).to(at::kDouble), head.to(at::kDouble), bias.to(at::kDouble));
  REQUIRE(expected.abs().max().item<double>() > 8);
  const Teacher teacher(sample.options, sample.taps);
  const auto track = teacher.tracks(plan_of())[0];
  REQUIRE((track.codec.encoding == Encoding::kUniform));
  CHECK(track.made_with.precision == "bf16");
  std::vector<float> cached = teacher.run(pictures, 64)[0];
  through_codec(*make_codec(track.codec, track.shape), 64, cached);
  const double error = (at::tensor(cached).view({64, kClasses}).to(at::kDouble) - expected).abs().max().item<double>();
  CHECK(error <= track.codec.max_error + 1e-5);  // and what FP32 rounds
}

TEST_CASE("of attention, all heads are kept, or some, or their mean") {
  at::set_num_threads(1);
  Sample sample;
  sample.taps.logits = false, sample.taps.features = {}, sample.taps.attention_encoding = "fp32";
  const std::vector<std::uint8_t> pictures = noise(4);
  const auto run = [&] {
    const Teacher teacher(sample.options, sample.taps);
    return std::pair{teacher.tracks(plan_of())[0], teacher.run(pictures, 4)[0]};
  };
  const auto [all_track, all] = run();
  CHECK(all_track.heads.empty());
  CHECK_FALSE(all_track.heads_mean);
  const at::Tensor both = at::tensor(all).view({4, 2, 2, 2});
  sample.taps.attention_heads = {1};
  const auto [one_track, one] = run();
  CHECK((one_track.shape == std::vector<std::uint32_t>{1, 2, 2}));
  CHECK(one_track.heads == std::vector<int>{1});
  CHECK_FALSE(one_track.heads_mean);
  CHECK(at::equal(at::tensor(one).view({4, 1, 2, 2}), both.narrow(1, 1, 1)));
  sample.taps.attention_heads = {}, sample.taps.attention_mean = true;
  const auto [mean_track, mean] = run();
  CHECK((mean_track.shape == std::vector<std::uint32_t>{1, 2, 2}));
  CHECK(mean_track.heads.empty());
  CHECK(mean_track.heads_mean);
  CHECK(at::equal(at::tensor(mean).view({4, 1, 2, 2}), both.mean(1, true)));
  sample.taps.attention_heads = {0, 2};
  CHECK_THROWS_WITH_AS(run(), doctest::Contains("names head 2, but the teacher has heads 0 to 1"), Error);
  sample.taps.attention_heads = {1, 1};
  CHECK_THROWS_WITH_AS(run(), doctest::Contains("names head 1 twice"), Error);
}

TEST_CASE("an attention rollout is one map of its own, recorded as such, and reopened as such") {
  at::set_num_threads(1);
  Sample sample;
  sample.taps.logits = false, sample.taps.features = {}, sample.taps.attention_encoding = "fp32";
  sample.taps.attention = {0, 1};
  const std::vector<std::uint8_t> pictures = noise(4);
  sample.taps.attention_mean = true;
  const auto means = Teacher(sample.options, sample.taps).run(pictures, 4);
  sample.taps.attention_mean = false, sample.taps.attention_rollout = true;
  const Teacher teacher(sample.options, sample.taps);
  const auto rollouts = teacher.run(pictures, 4);
  const TrackInfo track = teacher.tracks(plan_of())[1];
  CHECK(track.rollout);
  CHECK(track.heads_mean);
  CHECK((track.shape == std::vector<std::uint32_t>{1, 2, 2}));
  // Of the first block (A + I) / 2, whose class row has half of A's weights on the patches.
  const at::Tensor first = at::tensor(rollouts[0]);
  CHECK(at::allclose(first, at::tensor(means[0]) / 2, 1e-5, 1e-6));
  CHECK_FALSE(at::allclose(at::tensor(rollouts[1]), at::tensor(means[1]) / 2, 1e-2, 1e-3));
  const std::vector<TrackInfo> tracks{track};
  const auto reopened = reopen_teachers(tracks, {sample.options.weights}, "cpu");
  REQUIRE(reopened.size() == 1);
  CHECK(reopened[0].taps.attention_rollout);
  CHECK(Teacher(reopened[0].teacher, reopened[0].taps).run(pictures, 4)[0] == rollouts[1]);
  sample.taps.attention_heads = {0};
  CHECK_THROWS_WITH_AS(Teacher(sample.options, sample.taps), doctest::Contains("taps.attention_heads empty"), Error);
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
