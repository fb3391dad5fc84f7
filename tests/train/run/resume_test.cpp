// A run can be stopped anywhere and resumed, on other cores, files and images, made longer, and given added passes.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <tuple>

#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/run/evaluate_checkpoint.h"
#include "train/run/finished_run.h"
#include "train/run/run_settings.h"

using namespace vitrine;
using vitrine::testing::AtForward;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::json_of;
using vitrine::testing::message_of;
using vitrine::testing::metrics_of;
using vitrine::testing::read_log;
using vitrine::testing::read_whole;
using vitrine::testing::RunFixture;
using vitrine::testing::tensors_of;
using vitrine::testing::train;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

TEST_CASE("a run that goes on without validation images does not give earlier weights' scores as its last ones'") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 2);
  options.validation = fixture.images.string();
  trained(options, 4);
  REQUIRE(json_of(options, "checkpoints/last.json").contains("validation"));
  options.validation.clear();
  const TrainResult result = train(options);
  REQUIRE(result.of_best);
  CHECK_FALSE(result.last_validation);
  CHECK_FALSE(result.last_accuracy());
  const auto summary = json_of(options, "summary.json");
  CHECK_FALSE(summary.contains("last_top1"));
  CHECK(summary.at("validation_top1") == summary.at("best").at("score"));
  CHECK_FALSE(finished_run(options)->last_accuracy());
}

TEST_CASE("a stop within a validation or the final test loses nothing: it is repeated with the same result") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("whole");
  options.validation = options.test = fixture.many_images();
  options.batch_norm_batches = 2;
  options.ema.decay = 0.5;
  options.checkpoint_every = 100;
  const Tensors whole = trained(options);
  const Tensors best = tensors_of(options, "exported/best.safetensors"),
                final = tensors_of(options, "exported/last.safetensors");
  const auto summary = json_of(options, "summary.json");
  // Forwards without gradients: two of each validation, then two of BatchNorm's statistics, two of the validation with
  // these, two of the test of the best weights, and two of the last.
  for (const auto& [forward, step, evaluated] : {std::tuple{1, 4, false},
                                                 {3, 8, false},
                                                 {5, 12, false},
                                                 {7, 12, true},
                                                 {9, 12, true},
                                                 {11, 12, true},
                                                 {13, 12, true}}) {
    CAPTURE(forward);
    options.output = (fixture.root / ("broken-" + std::to_string(forward))).string();
    StopFlag stop{false};
    int forwards = 0;
    {
      const AtForward at_forward([&, wanted = forward] {
        if (!at::GradMode::is_enabled() && ++forwards == wanted) stop = true;
      });
      const TrainResult stopped = train(options, stop);
      CHECK_FALSE(stopped.finished);
      CHECK(stopped.steps == static_cast<std::uint64_t>(step));
    }
    CHECK(forwards == forward);  // nothing more was computed
    const auto last = json_of(options, "checkpoints/last.json");
    CHECK(last.at("step") == step);
    CHECK(last.at("validation_due") == !evaluated);
    CHECK_FALSE(std::filesystem::exists(std::filesystem::path(options.output) / "summary.json"));
    CHECK(differences(whole, trained(options)) == std::vector<std::string>{});
    CHECK(differences(best, tensors_of(options, "exported/best.safetensors")) == std::vector<std::string>{});
    CHECK(differences(final, tensors_of(options, "exported/last.safetensors")) == std::vector<std::string>{});
    const auto again = json_of(options, "summary.json");
    for (const char* key : {"best", "top1", "top5", "last_top1", "last_top5", "validation_top1", "steps"})
      CHECK(again.at(key) == summary.at(key));
    CHECK(read_log(options).at("step").size() == 12);
  }
}

TEST_CASE("a stop before the first step throws Stopped and writes nothing") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  const StopFlag asked{true};
  CHECK_THROWS_AS(Trainer(options, asked), Stopped);
  Trainer trainer(options);
  CHECK_FALSE(std::filesystem::exists(options.output));
  options.validation = fixture.images.string();
  CHECK_THROWS_AS(Trainer(options).run(asked), Stopped);
  CHECK_FALSE(std::filesystem::exists(options.output));
}

TEST_CASE("a stop after the images are scanned does not throw: it leaves a checkpoint that resumes") {
  const RunFixture fixture;
  const Tensors whole = trained(fixture.joint("whole", 1));
  const StopFlag asked{true};
  const TrainOptions options = fixture.joint("run", 1);  // no validation images: run() scans nothing
  const TrainResult stopped = train(options, asked);
  CHECK_FALSE(stopped.finished);
  CHECK(stopped.steps == 0);
  CHECK(json_of(options, "checkpoints/last.json").at("step") == 0);
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run/summary.json"));
  CHECK(differences(whole, trained(options)) == std::vector<std::string>{});
}

TEST_CASE("a run resumes on another number of cores, and with weights at another path") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("start", 1);
  trained(options);
  options.output = (fixture.root / "run").string();
  options.model.weights = (fixture.root / "start/exported/last.safetensors").string();
  options.threads = 0;
  trained(options, 1);
  CHECK(has(json_of(options, "checkpoints/last.json").at("settings").get<std::string>(), "\nthreads = 0\n"));
  std::filesystem::rename(fixture.root / "start/exported/last.safetensors", fixture.root / "moved.safetensors");
  options.model.weights = (fixture.root / "moved.safetensors").string();
  CHECK_NOTHROW(trained(options, 2));
  Tensors other = load_safetensors(options.model.weights);
  other.begin()->second = other.begin()->second + 1;
  save_safetensors(options.model.weights, other);
  CHECK(has(message_of([&] { trained(options); }), "model.weights = \"SHA-256 "));
  // On a GPU the number of threads has no effect.
  options.model.weights.clear();
  options.device = "cuda";
  CHECK_FALSE(has(meaningful_settings(options), "threads"));
}

TEST_CASE("a run of a live teacher resumes with its weights at another path") {
  const TrainFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
  trained(options, 1);
  std::filesystem::rename(fixture.weights, fixture.root / "moved.safetensors");
  options.targets.teacher.weights = (fixture.root / "moved.safetensors").string();
  options.max_steps = 2;
  CHECK(train(options).steps == 2);
}

TEST_CASE("a run resumes without the weights that it started from, and shows its result without them") {
  const TrainFixture fixture;
  trained(fixture.joint(TargetKind::kNone, "start"));
  TrainOptions options = fixture.joint(TargetKind::kNone, "run", 2);
  options.model.weights = (fixture.root / "start/exported/last.safetensors").string();
  TrainOptions whole = options;
  whole.output = (fixture.root / "whole").string();
  const Tensors expected = trained(whole);
  trained(options, 3);
  std::filesystem::remove_all(fixture.root / "start");
  CHECK(differences(expected, trained(options)) == std::vector<std::string>{});
  CHECK(train(options).already_finished);
  whole.output = (fixture.root / "new").string();
  CHECK(has(message_of([&] { trained(whole); }), "last.safetensors"));
}

TEST_CASE("settings missing from a checkpoint of an older version count as their defaults") {
  TrainOptions options;
  std::string before = meaningful_settings(options);
  const std::string line = "clip_norm = 0.0\n";
  const std::size_t at = before.find(line);
  REQUIRE(at != std::string::npos);
  before.erase(at, line.size());
  CHECK(settings_differences(before, options).empty());
  options.clip_norm = 1;
  CHECK(words_of(settings_differences(before, options)) == "clip_norm = 1.0 (was 0.0)");
}

TEST_CASE("a finished run is extended when asked, and its earlier results are kept") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  options.validation = fixture.images.string();
  const Tensors first = trained(options);
  const Tensors final = tensors_of(options, "exported/last.safetensors");
  const std::string summary = read_whole(fixture.root / "run/summary.json");
  const auto log = read_log(options);
  options.schedule.joint.epochs = 5;
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  CHECK(has(refused, "finished: schedule.joint.epochs = 5.0 (was 3.0); set extend = true"));
  options.extend = true;
  options.seed = 4;
  CHECK(has(message_of([&] { trained(options); }), "seed = 4 (was 3)"));  // extend allows no other difference
  options.seed = 3;
  trained(options, 14);
  options.extend = false;  // the checkpoint has the new length by now
  const Tensors longer = trained(options);
  CHECK(differences(first, longer) != std::vector<std::string>{});
  CHECK(differences(final, tensors_of(options, "exported/last-12.safetensors")) == std::vector<std::string>{});
  CHECK(read_whole(fixture.root / "run/summary-12.json") == summary);
  CHECK(json_of(options, "summary.json").at("steps") == 20);
  REQUIRE(json_of(options, "summary.json").at("changes").size() == 1);
  CHECK(json_of(options, "summary.json").at("changes")[0] == "from step 13 on: schedule.joint.epochs = 5.0 (was 3.0)");
  // Completed steps are kept; the rest follows the schedule of five epochs.
  const auto now = read_log(options);
  REQUIRE(now.at("step").size() == 20);
  for (std::size_t i = 0; i < 12; ++i) CHECK(now.at("lr")[i] == log.at("lr")[i]);
  for (std::size_t i = 12; i < 20; ++i)
    CHECK(std::stod(now.at("lr")[i]) == doctest::Approx(phase_at(options.schedule, i, 4).lr).epsilon(1e-4));
  CHECK(train(options).already_finished);
  options.extend = true;
  options.schedule.joint.epochs = 1;
  CHECK(has(message_of([&] { trained(options); }), "has made 20 steps, and the schedule is now 4 long"));
}

TEST_CASE("passes added to a cache do not change a run's order unless requested") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("whole", 5);
  const Tensors whole = trained(options);
  options.max_steps = 9;
  for (const char* name : {"broken", "more", "lost"}) {
    options.output = (fixture.root / name).string();
    trained(options);
  }
  REQUIRE(fixture.extract("cache", {"first_pass=2", "passes=2"}).exit_code == 0);
  options.max_steps = 0;
  options.output = (fixture.root / "broken").string();
  CHECK(differences(whole, trained(options)) == std::vector<std::string>{});
  CHECK_FALSE(json_of(options, "summary.json").contains("changes"));
  options.output = (fixture.root / "more").string();
  options.new_passes = true;
  CHECK(differences(whole, trained(options)) != std::vector<std::string>{});
  CHECK(json_of(options, "summary.json").at("changes")[0] == "from step 10 on with the passes 2, 3, which are new");
  // A run cannot resume without one of its passes.
  for (const char* shard : {"00002.h5", "00003.h5"}) std::filesystem::remove(fixture.root / "cache/recipes" / shard);
  options.output = (fixture.root / "lost").string();
  CHECK(has(message_of([&] { trained(options); }), "uses pass 1, which is no longer complete"));
}

TEST_CASE("best weights selected on other images are renamed, not compared with new ones") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  options.validation = fixture.images.string();
  trained(options, 4);
  const std::string best = read_whole(fixture.root / "run/exported/best.safetensors");
  options.validation = fixture.many_images();
  trained(options);
  CHECK(read_whole(fixture.root / "run/exported/best.safetensors.old") == best);
  CHECK(json_of(options, "summary.json").at("best").at("step").get<int>() > 4);
}

TEST_CASE("a run stopped in its final test and resumed with other validation images has the scores of these") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  options.validation = fixture.images.string();
  options.test = fixture.many_images();
  StopFlag stop{false};
  int forwards = 0;
  {
    const AtForward at_forward([&] {
      if (!at::GradMode::is_enabled() && ++forwards == 2) stop = true;  // the first is the validation's
    });
    REQUIRE_FALSE(train(options, stop).finished);
  }
  REQUIRE(json_of(options, "checkpoints/last.json").at("validation_due") == false);
  options.validation = options.test;
  const TrainResult result = train(options);
  REQUIRE(result.finished);
  REQUIRE(result.validation);
  CHECK(result.validation->images == 66);
  const double top1 = evaluate_checkpoint(options, options.output).metrics->accuracy().top1;
  const auto summary = json_of(options, "summary.json");
  CHECK(summary.at("validation_top1") == top1);
  CHECK(summary.at("best").at("score") == top1);
  CHECK(std::filesystem::exists(fixture.root / "run/exported/best.safetensors.old"));
  CHECK(metrics_of(options, "validation").size() == 1);
}
