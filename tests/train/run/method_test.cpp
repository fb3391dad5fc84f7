// Whole runs with each configurable part of the method.
#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <functional>
#include <random>

#include "common/models/autocast.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/matching/stage_exits.h"

using namespace vitrine;

using vitrine::testing::copies;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::tensors_of;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

namespace {

struct MethodFixture : TrainFixture {
  MethodFixture() { make_cache(); }

  /// One joint epoch: four steps.
  TrainOptions short_run(const std::string& output, TargetKind source = TargetKind::kCache) const {
    return joint(source, output);
  }
};

Tensors part(const Tensors& tensors, const std::string& name) {
  Tensors out;
  for (const auto& [key, tensor] : tensors)
    if (key.starts_with(name + ".")) out.emplace(key.substr(name.size() + 1), tensor);
  return out;
}

double largest_difference(const Tensors& a, const Tensors& b) {
  double out = 0;
  for (const auto& [name, tensor] : a)
    out = std::max(out, (tensor.to(at::kDouble) - b.at(name).to(at::kDouble)).abs().max().item<double>());
  return out;
}

/// All options with state, combined.
void everything(TrainOptions& options) {
  options.precision = "fp16";
  options.scaler.scale = 1e9;  // overflows at first
  options.scaler.interval = 3;
  options.optimizer.kind = OptimizerKind::kAdamW;
  options.ema.decay = 0.9;
  options.micro_batch = 2;
  options.batch_norm_batches = 2;
  options.clip_norm = 1;
  options.loss.output = OutputForm::kCorrelation;
  options.loss.exits_weight = 0.5;
  options.loss.attention = AttentionForm::kGradient;
}

}  // namespace

TEST_CASE("each form of each term trains, logs finite losses, and gives different weights") {
  const MethodFixture fixture;
  const Tensors plain = trained(fixture.short_run("plain"));
  const std::pair<const char*, std::function<void(TrainOptions&)>> forms[] = {
      {"dkd", [](TrainOptions& o) { o.loss.output = OutputForm::kDecoupled; }},
      {"dist", [](TrainOptions& o) { o.loss.output = OutputForm::kCorrelation; }},
      {"ofa", [](TrainOptions& o) { o.loss.output = OutputForm::kAdaptive; }},
      {"exits", [](TrainOptions& o) { o.loss.exits_weight = 1; }},
      {"paper", [](TrainOptions& o) { o.loss.attention_scaling = MapScaling::kPaper; }},
      {"gradient", [](TrainOptions& o) { o.loss.attention = AttentionForm::kGradient; }},
      {"gradient-teacher",
       [](TrainOptions& o) {
         o.loss.attention = AttentionForm::kGradient;
         o.loss.guidance_score = GuidanceScore::kTeacher;
         o.precision = "bf16";
       }},
      {"scaling", [](TrainOptions& o) { o.loss.attention = AttentionForm::kGradientScaling; }},
      {"fp16", [](TrainOptions& o) { o.precision = "fp16"; }},
      {"cosine",
       [](TrainOptions& o) {
         o.transformer.form = FeatureForm::kCosine;
         o.transformer.fusion = Fusion::kGated;
       }},
  };
  for (const auto& [name, change] : forms) {
    CAPTURE(name);
    TrainOptions options = fixture.short_run(name);
    change(options);
    const Tensors weights = trained(options);
    CHECK(differences(part(plain, "model"), part(weights, "model")) != std::vector<std::string>{});
    auto log = read_log(options);
    const bool has_attention = options.loss.attention != AttentionForm::kGradientScaling;
    for (std::size_t i = 0; i < 4; ++i) {
      for (const char* term : {"loss", "kl", "feature", "label"}) CHECK(std::isfinite(std::stod(log.at(term)[i])));
      CHECK((log.at("attention")[i] != "") == has_attention);
      CHECK((log.at("exits")[i] != "") == (options.loss.exits_weight > 0));
      CHECK((log.at("scale")[i] != "") == (options.precision == "fp16"));
    }
    CHECK((part(weights, "exits").empty()) == (options.loss.exits_weight == 0));
  }
}

TEST_CASE("several tracks are compared with several stages, in pairs or with learned weights, which are logged") {
  const MethodFixture fixture;
  TrainOptions options = fixture.short_run("pairs");
  options.targets.features = "features.0, features.1";
  options.transformer.direction = Direction::kTeacherToStudent;
  const Tensors pairs = trained(options);
  CHECK_FALSE(part(pairs, "transformer1").empty());
  CHECK(part(pairs, "transformer2").at("project.weight").size(0) == 64);  // stage 4 of a student of width 8
  CHECK(part(pairs, "transformer1").at("project.weight").size(0) == 16);  // stage 2: half as deep
  options.output += "-chosen";
  options.transformer.stages = {4, 1};
  CHECK(part(trained(options), "transformer1").at("project.weight").size(0) == 64);

  options.output += "-adaptive";
  options.transformer.mapping = Mapping::kAdaptive;
  CHECK(has(message_of([&] { trained(options); }), "student_to_teacher"));
  options.transformer.direction = Direction::kStudentToTeacher;
  options.transformer.stages = {2, 4};
  const Tensors adaptive = trained(options);
  CHECK_FALSE(part(adaptive, "mapping").empty());
  std::istringstream lines(vitrine::testing::file_of(options, "mapping.csv"));
  std::string line;
  std::getline(lines, line);
  CHECK(line == "step,stage,track,weight");
  for (int step = 1; step <= 4; ++step)
    for (const char* stage : {"2", "4"}) {
      double sum = 0;
      for (const char* track : {"features.0", "features.1"}) {
        std::getline(lines, line);
        const std::string begin = std::to_string(step) + "," + stage + "," + track + ",";
        CHECK(line.starts_with(begin));
        sum += std::stod(line.substr(begin.size()));
      }
      CHECK(sum == doctest::Approx(1).epsilon(1e-4));
    }
  options.targets.features = "features.1,features.1";
  options.output += "-twice";
  CHECK(has(message_of([&] { trained(options); }), "twice"));
}

TEST_CASE("gradients accumulated over micro-batches equal those of the whole batch") {
  const MethodFixture fixture;
  TrainOptions options = fixture.short_run("whole", TargetKind::kNone);
  options.schedule.joint.freeze_batch_norm = true;  // otherwise each forward has its own statistics
  const Tensors whole = part(trained(options), "model");
  options.output += "-micro";
  options.micro_batch = 2;
  CHECK(largest_difference(whole, part(trained(options), "model")) < 1e-6);
  options.output += "-small";
  options.micro_batch = 0;
  options.batch = 2;
  CHECK(largest_difference(whole, part(trained(options), "model")) > 1e-5);
  options.output += "-3";
  options.micro_batch = 3;
  CHECK(has(message_of([&] { trained(options); }), "micro_batch = 3"));
}

TEST_CASE("a batch that gives BatchNorm a single value is refused in one sentence that names the keys") {
  const TrainFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kNone, "out");
  options.batch = 1;
  try {
    trained(options);
    FAIL("trained on batches of one");
  } catch (const Error& error) {
    const std::string sentence = error.what();
    CAPTURE(sentence);
    CHECK((error.kind() == ErrorKind::kInput));
    CHECK(vitrine::testing::has(sentence, "BatchNorm needs more than one value of a channel"));
    for (const char* key : {"batch = 2 or more", "size = 33 or more", "schedule.joint.freeze_batch_norm = true"})
      CHECK(vitrine::testing::has(sentence, key));
    CHECK_FALSE(vitrine::testing::has(sentence, "\n"));
  }
}

TEST_CASE("exits' heads compute in FP32 inside an autocast") {
  at::manual_seed(2);
  StageExits exits(std::vector<std::int64_t>{8, 16}, 40);
  exits->eval();
  const at::NoGradGuard no_grad;
  const Autocast on(at::kCPU, at::kBFloat16);
  for (const at::Tensor& logits : exits->forward({at::randn({4, 8, 6, 6}), at::randn({4, 16, 3, 3})}))
    CHECK(logits.to(at::kBFloat16).to(at::kFloat).ne(logits).to(at::kFloat).mean().item<double>() > 0.9);
}

TEST_CASE("learning rates are scaled by batch / lr_batch") {
  const MethodFixture fixture;
  TrainOptions options = fixture.short_run("given");
  options.schedule.joint.lr = 0.05;
  const Tensors given = trained(options);
  options.output += "-scaled";
  options.schedule.joint.lr = 0.1;
  options.lr_batch = 8;  // twice ours
  CHECK(differences(given, trained(options)) == std::vector<std::string>{});
}

TEST_CASE("the moving average is evaluated and saved, and training continues from the weights") {
  const MethodFixture fixture;
  TrainOptions options = fixture.short_run("plain");
  options.validation = options.images;
  const Tensors plain = trained(options);
  options.output += "-averaged";
  options.ema.decay = 0.8;
  const Tensors state = trained(options);
  CHECK(differences(part(plain, "model"), part(state, "model")) == std::vector<std::string>{});
  Tensors average = part(state, "ema");
  average.erase("updates");
  CHECK(differences(average, tensors_of(options, "exported/last.safetensors")) == std::vector<std::string>{});
  CHECK(differences(average, tensors_of(options, "exported/best.safetensors")) == std::vector<std::string>{});
  CHECK(differences(average, part(state, "model")) != std::vector<std::string>{});
}

TEST_CASE("re-estimated BatchNorm statistics are the mean over the first batches, with the final weights") {
  const MethodFixture fixture;
  TrainOptions options = fixture.short_run("run", TargetKind::kNone);
  options.batch_norm_batches = 3;
  std::int64_t forwards = 3;
  SUBCASE("whole batches") {}
  SUBCASE("by micro-batch") {
    options.micro_batch = 2;
    forwards = 6;
  }
  trained(options);
  const Tensors final = tensors_of(options, "exported/last.safetensors");
  const auto source = fixture.source(options);
  const ViewMaker views(options.images, fixture.index(), 32);
  Batches batches(options.batch_options(32), *source, views, at::kCPU);
  batches.start(0);
  at::Tensor expected = at::zeros({8});
  for (int i = 0; i < 3; ++i) {
    const at::Tensor x = batches.next().pictures.permute({0, 3, 1, 2}).to(at::kFloat) / 255;
    const at::Tensor mean = at::tensor({0.485f, 0.456f, 0.406f}).view({1, 3, 1, 1});
    const at::Tensor stddev = at::tensor({0.229f, 0.224f, 0.225f}).view({1, 3, 1, 1});
    expected += at::conv2d((x - mean) / stddev, final.at("conv1.weight"), {}, 2, 3).mean({0, 2, 3}) / 3;
  }
  CHECK(at::allclose(final.at("bn1.running_mean"), expected, 1e-4, 1e-5));
  CHECK(final.at("bn1.num_batches_tracked").item<std::int64_t>() == forwards);
}

TEST_CASE("FP16: updates that overflow are skipped and counted, and the scale adapts") {
  const MethodFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  options.schedule.align.epochs = 0;  // its loss is computed in FP32, which does not overflow
  options.precision = "fp16";
  options.scaler.scale = 1e12;
  const Tensors state = trained(options);
  const auto log = read_log(options);
  const double first = std::stod(log.at("skipped").front()), last = std::stod(log.at("skipped").back());
  CHECK(first == 1);
  CHECK(last > 1);
  CHECK(last < 20);
  CHECK(std::stod(log.at("scale").back()) == doctest::Approx(1e12 * std::pow(0.5, last)).epsilon(1e-5));
  CHECK(state.at("scaler.skipped").item<std::int64_t>() == static_cast<std::int64_t>(last));
  CHECK(std::isfinite(std::stod(log.at("loss").back())));
}

TEST_CASE("with every option on, a run stopped anywhere and resumed ends bit-equal to an uninterrupted one") {
  const MethodFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kCache, "whole");
  everything(options);
  const Tensors whole = trained(options);
  const Tensors final = tensors_of(options, "exported/last.safetensors");
  std::random_device device;
  const char* const asked = std::getenv("VITRINE_RESUMES");  // repetitions, with new random steps each time
  for (int i = 0; i < (asked != nullptr ? std::stoi(asked) : 2); ++i) {
    const std::uint64_t stop_at = 1 + device() % 19;
    CAPTURE(stop_at);
    options.output = (fixture.root / ("broken-" + std::to_string(i))).string();
    CHECK(differences(whole, trained(options, stop_at)) != std::vector<std::string>{});
    CHECK(differences(whole, trained(options)) == std::vector<std::string>{});
    CHECK(differences(final, tensors_of(options, "exported/last.safetensors")) == std::vector<std::string>{});
    CHECK(read_log(options).at("step").size() == 20);
  }
}

TEST_CASE("a resumed run must have the same settings in every part of the method") {
  const MethodFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kCache, "run");
  everything(options);
  options.max_steps = 2;
  trained(options);
  const std::pair<const char*, std::function<void(TrainOptions&)>> changes[] = {
      {"precision", [](TrainOptions& o) { o.precision = "bf16"; }},
      {"scaler.interval", [](TrainOptions& o) { o.scaler.interval = 4; }},
      {"ema.decay", [](TrainOptions& o) { o.ema.decay = 0; }},
      {"micro_batch", [](TrainOptions& o) { o.micro_batch = 4; }},
      {"lr_batch", [](TrainOptions& o) { o.lr_batch = 4; }},
      {"batch_norm_batches", [](TrainOptions& o) { o.batch_norm_batches = 0; }},
      {"loss.output", [](TrainOptions& o) { o.loss.output = OutputForm::kKl; }},
      {"loss.exits_weight", [](TrainOptions& o) { o.loss.exits_weight = 0; }},
      {"loss.attention", [](TrainOptions& o) { o.loss.attention = AttentionForm::kActivation; }},
      {"transformer.fusion", [](TrainOptions& o) { o.transformer.fusion = Fusion::kGated; }},
      {"targets.features", [](TrainOptions& o) { o.targets.features = "features.0, features.1"; }},
      {"transformer.stages", [](TrainOptions& o) { o.transformer.stages = {4}; }},
      {"transformer.form", [](TrainOptions& o) { o.transformer.form = FeatureForm::kNormalised; }},
      {"model.width", [](TrainOptions& o) { o.model.width = 16; }},
  };
  for (const auto& [key, change] : changes) {
    CAPTURE(key);
    TrainOptions changed = options;
    change(changed);
    const std::string message = message_of([&] { trained(changed); });
    CAPTURE(message);
    CHECK(has(message, std::string(key) + " = "));
  }
}
