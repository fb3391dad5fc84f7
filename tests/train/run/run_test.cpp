// A run's directory: never overwritten or mixed; a run can be stopped anywhere and resumed.
#include <ATen/record_function.h>
#include <tbb/global_control.h>
#include <ATen/ATen.h>

#include <functional>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "common/base/files.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/run/checkpoint.h"
#include "train/run/evaluate_checkpoint.h"
#include "train/run/finished_run.h"
#include "train/run_files/run_files.h"
#include "train/run/run_folder.h"
#include "train/run/run_settings.h"

using namespace vitrine;
using vitrine::testing::copies;
using vitrine::testing::differences;
using vitrine::testing::has;
using vitrine::testing::json_of;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::read_whole;
using vitrine::testing::tensors_of;
using vitrine::testing::train;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;
using vitrine::testing::write_whole;

namespace {

/// RAII: calls a function at each max pooling of a network, to act inside a forward without timing.
class AtForward {
 public:
  explicit AtForward(std::function<void()> call) {
    call_ = std::move(call);
    handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&AtForward::meet).scopes({at::RecordScope::FUNCTION}));
  }
  ~AtForward() { at::removeCallback(handle_); }
  AtForward(const AtForward&) = delete;
  AtForward& operator=(const AtForward&) = delete;

 private:
  static std::unique_ptr<at::ObserverContext> meet(const at::RecordFunction& function) {
    if (std::string_view(function.name()) == "aten::max_pool2d") call_();
    return nullptr;
  }
  static inline std::function<void()> call_;
  at::CallbackHandle handle_;
};

struct RunFixture : TrainFixture {
  RunFixture() { make_cache(); }

  /// `epochs` joint epochs of four steps, from the cache.
  TrainOptions joint(const std::string& output, double epochs = 3) const {
    return TrainFixture::joint(TargetKind::kCache, output, epochs);
  }
  /// A folder of 22 images per class, more than one validation batch.
  std::string many_images() const {
    const std::filesystem::path folder = root / "many";
    for (const char* name : {"ant", "bee", "cat"})
      for (int i = 0; i < 22; ++i)
        write_whole(folder / name / (std::to_string(i) + ".jpg"),
                    read_whole(images / name / (std::to_string(i % 5) + ".jpg")));
    return folder.string();
  }
};

}  // namespace

TEST_CASE("another configuration does not change a run: every difference is named, and restart renames the run") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  trained(options, 5);
  for (const char* page : {"report.html", "evaluation.json"}) write_whole(fixture.root / "run" / page, "of this run");
  const auto before = fixture.files("run");
  CHECK(before.contains("config.toml"));
  options.loss.temperature = 2;
  options.seed = 4;
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  for (const char* part : {"/run: holds a run of another configuration, stopped after step 5: ", "seed = 4 (was 3)",
                           "loss.temperature = 2.0 (was 4.0)", "choose another output", "restart = true"})
    CHECK(has(refused, part));
  CHECK((fixture.files("run") == before));

  options.restart = true;
  options.max_steps = 1;
  trained(options);
  CHECK((fixture.files("run.old") == before));
  CHECK(json_of(options, "checkpoints/last.json").at("step") == 1);
  CHECK(has(read_whole(fixture.root / "run/config.toml"), "restart = false"));
  CHECK_FALSE(fixture.files("run").contains("checkpoints/checkpoint-5.safetensors"));
  options.restart = false;
  options.max_steps = 2;
  CHECK(train(options).steps == 2);  // resumes the new one
}

TEST_CASE("a run's directory may hold other files and folders: a start, a resume and a restart leave them alone") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  const std::map<std::string, std::string> others = {
      {"extract.toml", "a"}, {"train.toml", "b"}, {"cache/plan.json", "c"}, {"notes.safetensors", "d"}};
  for (const auto& [name, bytes] : others) write_whole(fixture.root / "run" / name, bytes);
  const auto check_others = [&] {
    for (const auto& [name, bytes] : others) CHECK(read_whole(fixture.root / "run" / name) == bytes);
  };
  CHECK_FALSE(holds_run(options.output));
  trained(options, 3);
  trained(options, 5);
  CHECK(json_of(options, "checkpoints/last.json").at("step") == 5);
  check_others();
  auto before = fixture.files("run");
  for (const auto& [name, bytes] : others) before.erase(name);
  options.restart = true;
  options.output += "/";
  trained(options, 1);
  CHECK((fixture.files("run.old") == before));
  CHECK(json_of(options, "checkpoints/last.json").at("step") == 1);
  check_others();
  trained(options, 2);
  CHECK(fixture.files("run.old.2").contains("checkpoints/checkpoint-1.safetensors"));
}

TEST_CASE("restart moves a run aside however its path is written") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  trained(options);
  const auto before = fixture.files("run");
  options.restart = true;
  options.output += "/.";
  trained(options);
  CHECK((fixture.files("run.old") == before));
  std::filesystem::create_directory_symlink(fixture.root / "run", fixture.root / "link");
  options.output = (fixture.root / "link").string();
  trained(options);
  CHECK(std::filesystem::exists(fixture.root / "run.old.2/checkpoints/last.json"));
}

TEST_CASE("a run among its images is refused before anything is written") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  std::filesystem::create_directory_symlink(fixture.images, fixture.root / "link");
  for (const std::string folder : {"images/run", "link/deep/run"}) {
    options.output = (fixture.root / folder).string();
    CHECK(has(message_of([&] { train(options); }), folder + ": output is in images = " + options.images +
                                                       ", where its directory would count as a class; " +
                                                       "choose another output, outside the images"));
    CHECK_FALSE(std::filesystem::exists(options.output));
  }
  options.test = options.validation = fixture.many_images();
  options.output = options.test + "/run";
  CHECK(has(message_of([&] { train(options); }), "output is in validation = "));
}

TEST_CASE("a run of an earlier version's layout is refused in one sentence, and restart moves it aside") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  for (const char* name : {"last.json", "log.csv", "final.safetensors", "checkpoint-4.safetensors"})
    write_whole(fixture.root / "run" / name, name);
  const auto before = fixture.files("run");
  const std::string refused = message_of([&] { trained(options); });
  CHECK(has(refused,
            "/run: holds a run of an earlier version, whose files (last.json, log.csv, final.safetensors) are "
            "laid out in another way; choose another output, or set restart = true"));
  CHECK(has(message_of([&] { weights_file(options.output); }), "give one of its .safetensors files"));
  CHECK((fixture.files("run") == before));
  options.restart = true;
  trained(options);
  CHECK((fixture.files("run.old") == before));
  CHECK(weights_file(options.output) == RunFiles(options.output).last_weights());
}

TEST_CASE("a finished run is not trained again: it returns its earlier result and writes nothing") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  options.validation = options.test = fixture.images.string();
  const TrainResult first = train(options);
  REQUIRE(first.finished);
  CHECK_FALSE(first.already_finished);
  const auto before = fixture.files("run");
  const auto check_same = [&](const TrainResult& again) {
    CHECK(again.finished);
    CHECK(again.already_finished);
    CHECK(again.steps == 4);
    REQUIRE((again.test && again.validation));
    CHECK(again.test->top1 == first.test->top1);
    CHECK(again.validation->top5 == first.validation->top5);
    CHECK(again.best.score == first.best.score);
    CHECK(again.best.step == 4);
    CHECK((fixture.files("run") == before));
  };
  check_same(train(options));
  const std::optional<TrainResult> told = finished_run(options);  // without reading images or cache
  REQUIRE(told);
  check_same(*told);
  const auto best = json_of(options, "summary.json").at("best");
  CHECK(best.at("score") == first.validation->top1);
  CHECK(best.at("step") == 4);
  CHECK(best.at("epoch") == 1);
  CHECK(best.at("file") == "exported/best.safetensors");

  SUBCASE("without its summary, it is written again") {
    std::filesystem::remove(fixture.root / "run/summary.json");
    CHECK_FALSE(finished_run(options));
    CHECK_FALSE(train(options).already_finished);
    CHECK(json_of(options, "summary.json").at("best") == best);
    CHECK(json_of(options, "summary.json").at("top1") == first.test->top1);
  }
  SUBCASE("without its checkpoint, it is not overwritten") {
    std::filesystem::remove(fixture.root / "run/checkpoints/last.json");
    CHECK(has(message_of([&] { train(options); }),
              "holds files of a run, but not its checkpoint (checkpoints/last.json)"));
  }
}

TEST_CASE("a run's figures are those of the weights that are used, beside those of the last ones") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  options.validation = fixture.images.string();
  options.batch_norm_batches = 2;  // the last weights get other statistics than the best ones were validated with
  bool tested = false;
  SUBCASE("tested") {
    tested = true;
    options.test = fixture.many_images();
  }
  SUBCASE("validated only") {}
  const TrainResult result = train(options);
  REQUIRE(result.finished);
  const auto top1_of = [&](const std::string& file) {
    return evaluate_checkpoint(options, options.output + file).metrics->accuracy().top1;
  };
  const auto summary = json_of(options, "summary.json");
  CHECK(summary.at("weights") == "best");
  CHECK(summary.at("evaluated_on") == (tested ? "test" : "validation"));
  CHECK(summary.at("top1") == top1_of(""));
  CHECK(summary.at("top1") == top1_of("/exported/best.safetensors"));
  CHECK(summary.contains("last_top5"));
  CHECK(summary.at("validation_top1") == summary.at("best").at("score"));
  CHECK(summary.at("last_top1") == top1_of("/exported/last.safetensors"));
  TrainOptions validated = options;
  validated.test.clear();
  REQUIRE(result.last_validation);
  CHECK(result.last_validation->top1 ==
        evaluate_checkpoint(validated, options.output + "/exported/last.safetensors").metrics->accuracy().top1);
  const auto end = vitrine::testing::metrics_of(options, "end").at(0);
  CHECK(end.at("top1") == summary.at("top1"));
  CHECK(end.at("last_top1") == summary.at("last_top1"));
  const std::optional<TrainResult> told = finished_run(options);
  REQUIRE(told);
  CHECK(told->of_best);
  CHECK(told->remarks.empty());
  CHECK(told->accuracy()->top5 == result.accuracy()->top5);
  CHECK(told->last_accuracy()->top1 == result.last_accuracy()->top1);
}

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

TEST_CASE("one process at a time trains in a directory") {
  const RunFixture fixture;
  const TrainOptions options = fixture.joint("run", 1);
  std::filesystem::create_directories(options.output);
  {
    const FileLock other = lock_run(options.output);
    CHECK(has(message_of([&] { trained(options); }), "/run: another process is training this run"));
  }
  CHECK_NOTHROW(trained(options));
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
  CHECK(vitrine::testing::metrics_of(options, "validation").size() == 1);
}

TEST_CASE("weights that are not finite are neither saved nor exported, also where no step was logged") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run");
  options.log_every = 100;
  options.checkpoint_every = 4;
  const auto check_saved = [&](std::uint64_t step) {
    CHECK(json_of(options, "checkpoints/last.json").at("step") == step);
    CHECK_FALSE(std::filesystem::exists(fixture.root / "run/exported/last.safetensors"));
    CHECK_FALSE(std::filesystem::exists(fixture.root / "run/summary.json"));
  };
  SUBCASE("they diverge after a step that was logged") {
    options.schedule.joint.lr = 1e30;
    const std::string refused = message_of([&] { trained(options); });
    CAPTURE(refused);
    CHECK(has(refused, "not finite after step 4 (joint); lower schedule.joint.lr, or set clip_norm"));
    check_saved(0);
  }
  SUBCASE("a finished schedule whose checkpoint has them is not exported") {
    trained(options);
    for (const char* file : {"exported/last.safetensors", "summary.json"})
      REQUIRE(std::filesystem::remove(fixture.root / "run" / file));
    Checkpoint checkpoint = *read_checkpoint(options.output);
    Tensors tensors = load_checkpoint_tensors(options.output, checkpoint);
    const auto metadata = load_safetensors_metadata(fixture.root / "run/checkpoints/checkpoint-12.safetensors");
    at::Tensor& variance = tensors.at("model.bn1.running_var");
    variance = at::full_like(variance, std::numeric_limits<double>::quiet_NaN());
    checkpoint.finished = false;
    save_checkpoint(options.output, checkpoint, tensors, metadata);
    const std::string refused = message_of([&] { trained(options); });
    CAPTURE(refused);
    CHECK(has(refused, "not finite after step 12 (joint)"));
    check_saved(12);
  }
}

TEST_CASE("a phase that learns only from attention uses only passes that have it") {
  const RunFixture fixture;
  REQUIRE(fixture.extract("cache", {"first_pass=2", "passes=6", "taps.features=[]", "taps.attention=[]"}).exit_code ==
          0);
  TrainOptions options = fixture.joint("run", 4);
  PhaseOptions& phase = options.schedule.joint;
  phase.output_term = phase.feature_term = phase.label_term = false;
  trained(options);
  const auto log = read_log(options);
  REQUIRE(log.at("attention").size() == 16);
  for (const std::string& attention : log.at("attention")) CHECK(std::stod("0" + attention) > 0);
}

TEST_CASE("BatchNorm of the exits is frozen with the student's") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  options.loss.exits_weight = 1;
  options.schedule.joint.freeze_batch_norm = true;
  Trainer trainer(options);
  const Tensors before = copies(trainer.state());
  trainer.run(never_stop());
  const Tensors after = copies(trainer.state());
  std::size_t statistics = 0, weights = 0;
  for (const auto& [name, tensor] : before) {
    if (!name.starts_with("exits.")) continue;
    const bool statistic = has(name, "running_") || has(name, "num_batches");
    (statistic ? statistics : weights) += 1;
    CHECK(at::equal(tensor, after.at(name)) == statistic);
  }
  CHECK(statistics > 0);
  CHECK(weights > 0);
}

TEST_CASE("BatchNorm of a single value is refused before training, with the key to change") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  const auto refusal = [&] { return message_of([&] { trained(options); }); };
  options.batch = 1;
  CHECK(has(refusal(), "size = 32 leaves layer4 a single position, and batch = 1 a single view: BatchNorm needs more"));
  options.batch = 4;
  options.micro_batch = 1;
  CHECK(has(refusal(), "set micro_batch = 2 or more, size = 33 or more, or schedule.joint.freeze_batch_norm = true"));
  CHECK_FALSE(std::filesystem::exists(options.output));
  SUBCASE("frozen") {
    options.schedule.joint.freeze_batch_norm = true;
    options.batch_norm_batches = 1;
    CHECK(has(refusal(), "micro_batch = 1 a single view"));
    CHECK(has(refusal(), "or batch_norm_batches = 0"));
    options.batch_norm_batches = 0;
  }
  SUBCASE("one pixel more") {
    options.size = 33;
  }
  CHECK(refusal() == "");
}

TEST_CASE("more workers than cores are allowed") {
  const RunFixture fixture;
  TrainOptions options = fixture.joint("run", 1);
  options.workers = std::thread::hardware_concurrency() + 3;
  std::size_t seen = 0;
  {
    const AtForward at_forward(
        [&] { seen = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism); });
    trained(options);
  }
  CHECK(seen >= options.workers);
}
