#include "tools/commands/report/evaluate/evaluate_run.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/hash.h"
#include "common/eval/grad_cam.h"
#include "common/image/overlay.h"
#include "common/kernels/normalise.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "tools/commands/report/evaluate/attention.h"
#include "train/run/checkpoint.h"
#include "train/run/evaluate_checkpoint.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::TrainFixture;

namespace {

/// A short run from a live teacher with labels, evaluated on its training images.
struct EvaluationFixture : TrainFixture {
  TrainOptions options = joint(TargetKind::kTeacher, "run");

  EvaluationFixture() {
    options.test = images.string();
    vitrine::testing::train(options);
  }
  RunEvaluation evaluate(const EvaluateRequest& request = {}) const { return evaluate_run(root / "run", request); }
};

}  // namespace

TEST_CASE_FIXTURE(EvaluationFixture, "an evaluation has the figures of vitrine-train --evaluate") {
  const RunEvaluation evaluated = evaluate();
  const Report report = evaluate_checkpoint(options, root / "run");
  REQUIRE(report.metrics);
  CHECK(evaluated.images == 15);
  CHECK(evaluated.folder == images.string());
  CHECK(*evaluated.top1 == report.metrics->accuracy().top1);
  CHECK(*evaluated.top5 == report.metrics->accuracy().top5);
  CHECK(*evaluated.calibration_error == doctest::Approx(report.metrics->calibration_error()));
  CHECK(*evaluated.agreement == *report.agreement);
  CHECK(evaluated.teacher == "small");
  CHECK(evaluated.weights == weights_file(root / "run").string());
  CHECK(evaluated.weights_sha256 == sha256_hex_of_file(evaluated.weights));
  REQUIRE(evaluated.classes.size() == 3);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(evaluated.classes[c].name == report.classes[c]);
    CHECK(evaluated.classes[c].images == 5);
    CHECK(evaluated.classes[c].right == report.metrics->classes()[c].right);
  }
}

TEST_CASE_FIXTURE(EvaluationFixture,
                  "the hardest pictures have the largest losses, answers and maps of their own crops") {
  EvaluateRequest request;
  request.hardest = 15;
  const std::vector<HardPicture> all = evaluate(request).hardest;
  REQUIRE(all.size() == 15);
  CHECK(std::ranges::is_sorted(all, std::ranges::greater(), &HardPicture::loss));
  for (const HardPicture& one : all) {
    CAPTURE(one.id);
    CHECK(one.id.starts_with(one.label + "/"));
    const auto truth = std::ranges::find(one.student, one.label, &Answer::name);
    REQUIRE(truth != one.student.end());  // all three classes are listed
    CHECK(one.loss == doctest::Approx(-std::log(truth->probability)).epsilon(1e-4));
    CHECK(one.student[0].probability >= one.student[1].probability);
    REQUIRE(one.teacher.size() == 3);
  }
  request.hardest = 4;
  const std::vector<HardPicture> few = evaluate(request).hardest;
  REQUIRE(few.size() == 4);
  for (std::size_t i = 0; i < few.size(); ++i) {
    CHECK(few[i].id == all[i].id);
    CHECK(few[i].picture == all[i].picture);
    CHECK(few[i].teacher_map == all[i].teacher_map);
  }
  // The first one's maps, made here.
  const Evaluation evaluation(ImageFolders(images), options.evaluation_options(32));
  const auto& entries = evaluation.index().images;
  const auto number =
      static_cast<std::uint32_t>(std::ranges::find(entries, all[0].id, &ImageEntry::id) - entries.begin());
  const Evaluation::Crops crops = evaluation.crops(std::array{number}, 32, {options.crop_pct});
  const Image picture = small_picture(crops.pictures[0], 1000);
  CHECK(all[0].picture == data_uri(picture, 82));
  ModelOptions model = options.model;
  model.weights = weights_file(root / "run").string();
  Network network(model, 3, at::kCPU);
  const at::Tensor answer = at::tensor({all[0].student[0].name == "ant"   ? 0
                                        : all[0].student[0].name == "bee" ? 1
                                                                          : 2},
                                       at::kLong);
  const at::Tensor x =
      normalise_pictures(crops.pictures, rgb_triplet(options.mean, "mean"), rgb_triplet(options.stddev, "std"));
  const at::Tensor map = grad_cam(*network.resnet(), x, answer)[0].contiguous();
  CHECK(all[0].student_map == data_uri(overlay(picture, {map.data_ptr<float>(), static_cast<std::size_t>(map.numel())},
                                               static_cast<int>(map.size(0)), static_cast<int>(map.size(1))),
                                       82));
  CHECK(all[0].teacher_map != all[0].student_map);
  CHECK(all[0].teacher_map.starts_with("data:image/jpeg;base64,"));
}

TEST_CASE_FIXTURE(EvaluationFixture, "attention is the last block's mean over heads, whatever the number of pictures") {
  const Evaluation evaluation(ImageFolders(images), options.evaluation_options(32));
  const std::vector<std::uint32_t> some{9, 2, 11, 0, 5};  // no multiple of the micro-batch of 4
  const std::vector<Image> together = attention_overlays(options.targets.teacher, evaluation, some, 32);
  REQUIRE(together.size() == some.size());
  Vit vit(this->vit());
  load_weights(*vit, load_safetensors(weights), weights.string());
  vit->eval();
  const at::NoGradGuard no_grad;
  for (std::size_t i = 0; i < some.size(); ++i) {
    const Evaluation::Crops crops = evaluation.crops(std::array{some[i]}, 32, {0.9});
    const at::Tensor x = normalise_pictures(crops.pictures, {0.485f, 0.456f, 0.406f}, {0.229f, 0.224f, 0.225f});
    at::Tensor map = vit->forward(x, {{}, {1}}).attentions[0][0].mean(0);
    map = (map / map.max()).contiguous();
    const Image expected = overlay(small_picture(crops.pictures[0], 32), {map.data_ptr<float>(), 16}, 4, 4);
    REQUIRE(together[i].rgb.size() == expected.rgb.size());
    int largest = 0;
    for (std::size_t p = 0; p < expected.rgb.size(); ++p)
      largest = std::max(largest, std::abs(int{expected.rgb[p]} - int{together[i].rgb[p]}));
    CHECK(largest <= 1);
  }
}

TEST_CASE_FIXTURE(EvaluationFixture, "without the teacher's weights the student is evaluated alone") {
  std::filesystem::rename(weights, root / "elsewhere.safetensors");
  const RunEvaluation alone = evaluate();
  CHECK(alone.top1);
  CHECK_FALSE(alone.agreement);
  CHECK(alone.teacher.empty());
  REQUIRE(alone.hardest.size() == 12);
  CHECK(alone.hardest[0].teacher.empty());
  CHECK(alone.hardest[0].teacher_map.empty());
  CHECK_FALSE(alone.hardest[0].student_map.empty());
  EvaluateRequest request;
  request.overrides = {"targets.teacher.weights=" + (root / "elsewhere.safetensors").string()};
  CHECK(evaluate(request).agreement);
}

TEST_CASE_FIXTURE(EvaluationFixture,
                  "the command writes evaluation.json and the page with its pictures; without images it says so") {
  const std::string command =
      vitrine::testing::executable("vitrine-report") + " '" + (root / "run").string() + "' --evaluate";
  const auto made = vitrine::testing::run(command);
  CAPTURE(made.output);
  CHECK(made.exit_code == 0);
  CHECK(read_evaluation(root / "run"));
  CHECK(has(vitrine::testing::read_whole(root / "run/report.html"), "Student\u2019s Grad-CAM"));
  const auto gone = vitrine::testing::run(command + " --images /nonexistent/images");
  CAPTURE(gone.output);
  CHECK(gone.exit_code == 2);
  CHECK(has(gone.output, "/nonexistent/images"));
}

TEST_CASE("without labels the loss is the divergence from the teacher, and a teacher is needed") {
  const TrainFixture fixture;
  TrainOptions options = fixture.logits_only(TargetKind::kTeacher, "run");
  options.labels = Labels::kNone;
  vitrine::testing::train(options);
  EvaluateRequest request;
  request.images = fixture.images.string();
  const RunEvaluation evaluated = evaluate_run(fixture.root / "run", request);
  CHECK_FALSE(evaluated.top1);
  CHECK(evaluated.classes.empty());
  CHECK(evaluated.agreement);
  REQUIRE(evaluated.hardest.size() == 12);
  const HardPicture& hardest = evaluated.hardest[0];
  CHECK(hardest.label.empty());
  double divergence = 0;
  for (const Answer& theirs : hardest.teacher) {
    const auto ours = std::ranges::find(hardest.student, theirs.name, &Answer::name);
    REQUIRE(ours != hardest.student.end());
    divergence += theirs.probability * std::log(theirs.probability / ours->probability);
  }
  CHECK(hardest.loss == doctest::Approx(divergence).epsilon(1e-4));
  std::filesystem::remove(fixture.weights);
  CHECK(has(message_of([&] { evaluate_run(fixture.root / "run", request); }),
            "can only be evaluated against its teacher"));
}
