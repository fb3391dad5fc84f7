// The teacher on clean crops, before anything is extracted.
#include <torch/nn/functional/loss.h>
#include <torch/optim/adamw.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include "common/teacher/teacher_check.h"

#include <array>
#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/philox.h"
#include "common/base/stop.h"
#include "common/image/scan.h"
#include "common/image/write.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/clean_crops.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tests/teacher/sample.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::kSide;
using vitrine::testing::Sample;
using vitrine::testing::small_vit;

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

TEST_CASE("agreement is the share of the common images, whatever order they were drawn in") {
  const auto crops = [](std::vector<std::uint32_t> images, std::vector<std::uint32_t> predictions) {
    CleanCrops out;
    out.images = std::move(images), out.predictions = std::move(predictions);
    return out;
  };
  const CleanCrops a = crops({4, 2, 7, 1}, {0, 1, 2, 1}), b = crops({2, 9, 1, 4}, {1, 0, 1, 2});
  CHECK(agreement(a, a) == 1.0);
  CHECK(agreement(a, b) == doctest::Approx(2.0 / 3));  // 2 and 1 agree, 4 does not
  CHECK(agreement(b, a) == agreement(a, b));
  CHECK(agreement(a, crops({4}, {0})) == 1.0);
  CHECK_FALSE(agreement(a, crops({8, 9, 10, 11}, {0, 1, 2, 1})).has_value());
  CHECK_FALSE(agreement(a, {}).has_value());
}

namespace {

/// Grey pictures of two classes by their level, `images` of each, and a teacher of the sample's that was trained on
/// such levels, normalised with `mean` and `std`.
void make_trained(Sample& sample, int images, const std::array<int, 2>& first, const std::array<int, 2>& last,
                  double mean, double stddev, int steps) {
  RandomStream draws(2, Purpose::kSample);
  std::vector<at::Tensor> levels;
  for (const std::size_t c : {0u, 1u}) {
    const auto span = static_cast<std::uint64_t>(last[c] - first[c] + 1);
    for (int i = 0; i < images; ++i) {
      Image image(20 + i, 48 - i);
      std::fill(image.rgb.begin(), image.rgb.end(),
                static_cast<std::uint8_t>(first[c] + static_cast<int>(draws.below(span))));
      const auto bytes = encode_png(image);
      vitrine::testing::write_whole(
          sample.root / "images" / (c == 0 ? "first" : "second") / (std::to_string(i) + ".png"),
          {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
    levels.push_back(at::linspace(first[c], last[c], 16));
  }
  Vit vit(small_vit());
  load_weights(*vit, load_safetensors(sample.options.weights), "test");
  const at::Tensor x =
      ((at::cat(levels) / 255 - mean) / stddev).view({32, 1, 1, 1}).expand({32, 3, kSide, kSide}).contiguous();
  const at::Tensor labels = at::cat({at::zeros(16, at::kLong), at::ones(16, at::kLong)});
  torch::optim::AdamW optimizer(vit->parameters(), torch::optim::AdamWOptions(3e-3));
  for (int step = 0; step < steps; ++step) {
    optimizer.zero_grad();
    torch::nn::functional::cross_entropy(vit->forward(x).logits, labels).backward();
    optimizer.step();
  }
  save_safetensors(sample.options.weights, state_dict(*vit));
}

TeacherCheck checked(const Sample& sample, const std::string& keys = {}) {
  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(sample.root / "images", nullptr));
  const ViewMaker views(sample.root / "images", index, kSide);
  return check_teacher(Teacher(sample.options, sample.taps), views, *index, 256, 1, nullptr, "IMAGES", keys, 1);
}

}  // namespace

TEST_CASE("the check before extraction: a good teacher's figures, and a head in another class order") {
  at::set_num_threads(1);
  Sample sample;
  make_trained(sample, 12, {160, 32}, {223, 95}, 0.45, 0.225, 60);
  const TeacherCheck good = checked(sample);
  CHECK(good.refusal == "");
  REQUIRE(good.notes.size() == 1);
  CHECK(has(good.notes[0], "top-1 100.0 %"));
  CHECK(has(good.notes[0], "mean confidence "));
  CHECK(has(good.notes[0], "teacher.mean = [0.485, 0.456, 0.406], teacher.std = [0.229, 0.224, 0.225]"));

  Tensors swapped = load_safetensors(sample.options.weights);
  for (const char* name : {"head.weight", "head.bias"}) swapped.at(name) = swapped.at(name).flip(0);
  save_safetensors(sample.options.weights, swapped);
  const TeacherCheck wrong = checked(sample);
  CHECK(has(wrong.refusal,
            "the teacher's top-1 is 0.0 % in the order of the class folders, but 100.0 % in another order"));
  CHECK(has(wrong.refusal,
            "class_names in the head's order or a class_map; on these images its class 0 corresponds to \"second\""));
  // In another configuration the keys have other names.
  const TeacherCheck prefixed = checked(sample, "targets.");
  CHECK(has(prefixed.refusal, "give targets.class_names in the head's order or a targets.class_map; on"));
  CHECK(has(prefixed.notes[0], "targets.teacher.mean = [0.485, 0.456, 0.406], targets.teacher.std = [0.229, "));
}

TEST_CASE("other mean and std than in training: the best of the usual ones is noted, or nothing if none fits") {
  at::set_num_threads(1);
  const auto words = [](const TeacherCheck& check) {
    std::string all = check.refusal;
    for (const std::string& note : check.notes) all += "\n" + note;
    return all;
  };
  const std::string told = "fit best on the same crops, with top-1 ";
  const auto colours = [](double mean, double stddev) {
    return text("teacher.mean = [", mean, ", ", mean, ", ", mean, "], teacher.std = [", stddev, ", ", stddev, ", ",
                stddev, "] ");
  };
  for (const auto& [mean, stddev] : {std::pair(0.5, 0.5), std::pair(0.0, 1.0)}) {
    CAPTURE(mean);
    Sample sample;
    // With another scale the border between the classes lies at another level.
    make_trained(sample, 40, {185, 128}, {255, 160}, mean, stddev, 300);
    const auto use = [&](double used_mean, double used_stddev) {
      sample.options.mean.assign(3, used_mean), sample.options.stddev.assign(3, used_stddev);
      return checked(sample);
    };
    const TeacherCheck right = use(mean, stddev);
    CHECK(right.crops.accuracy.top1 == 1);
    CHECK_FALSE(has(words(right), told.c_str()));
    for (const auto& [used_mean, used_stddev] : {std::pair(0.5, 0.5), std::pair(0.0, 1.0), std::pair(0.3, 0.1)}) {
      if (used_mean == mean) continue;
      const TeacherCheck off = use(used_mean, used_stddev);
      const std::string all = words(off);
      CAPTURE(all);
      CHECK(off.crops.accuracy.top1 < 0.9);
      CHECK(has(all, (colours(mean, stddev) + told + "100.0 % instead of").c_str()));
      CHECK(all.find(told) == all.rfind(told));
      CHECK(has(all, "set them if the teacher may have been trained with them"));
      CHECK_FALSE(has(all, "probably trained"));
    }
  }
}

TEST_CASE("clean crops tell a teacher that knows its classes from one whose classes are in another order") {
  at::set_num_threads(1);
  Sample sample;
  // Class "bright" has grey levels from 160, class "dark" up to 96.
  RandomStream draws(2, Purpose::kSample);
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
  const at::Tensor levels = at::cat({at::linspace(160, 223, 16), at::linspace(32, 95, 16)}) / 255;
  const at::Tensor x = ((levels - 0.45) / 0.225).view({32, 1, 1, 1}).expand({32, 3, kSide, kSide}).contiguous();
  const at::Tensor labels = at::cat({at::zeros(16, at::kLong), at::ones(16, at::kLong)});
  torch::optim::AdamW optimizer(vit->parameters(), torch::optim::AdamWOptions(3e-3));
  for (int step = 0; step < 60; ++step) {
    optimizer.zero_grad();
    torch::nn::functional::cross_entropy(vit->forward(x).logits, labels).backward();
    optimizer.step();
  }
  save_safetensors(sample.options.weights, state_dict(*vit));

  const auto index = std::make_shared<const ImageIndex>(scan_image_folder(sample.root / "images", nullptr));
  const ViewMaker views(sample.root / "images", index, kSide);
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
  const StopFlag asked{true};
  CHECK_THROWS_AS(clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 18, 1, nullptr, 2, asked),
                  Stopped);
  {
    const Teacher teacher(sample.options, sample.taps);
    PlanOptions few;
    few.group = 8, few.image_size = kSide;
    const Plan plan(index, few);
    const auto tracks = teacher.tracks(plan);
    CHECK_THROWS_AS(make_ready(teacher, views, plan, tracks, {nullptr, nullptr, nullptr, nullptr}, 16, 1, asked),
                    Stopped);
  }

  Tensors swapped = load_safetensors(sample.options.weights);
  for (const char* name : {"head.weight", "head.bias"}) swapped.at(name) = swapped.at(name).flip(0);
  save_safetensors(sample.options.weights, swapped);
  const Accuracy wrong = clean_crop_accuracy(Teacher(sample.options, sample.taps), views, *index, 18, 1);
  CHECK(wrong.top1 == 0);
  CHECK(at_chance(wrong, 2));
}
