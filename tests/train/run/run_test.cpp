// A run's directory: never overwritten or mixed; a run's result is that of the weights that are used.
#include <ATen/ATen.h>

#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "common/base/files.h"
#include "tests/support/message.h"
#include "tests/support/zip_bytes.h"
#include "tests/train/fixture.h"
#include "train/run/checkpoint.h"
#include "train/run/evaluate_checkpoint.h"
#include "train/run/finished_run.h"
#include "train/run/run_folder.h"
#include "train/run_files/run_files.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::json_of;
using vitrine::testing::message_of;
using vitrine::testing::metrics_of;
using vitrine::testing::pickled_tensor;
using vitrine::testing::read_whole;
using vitrine::testing::RunFixture;
using vitrine::testing::train;
using vitrine::testing::trained;
using vitrine::testing::write_whole;
using vitrine::testing::zip_bytes;
using vitrine::testing::ZipMember;

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

TEST_CASE("weights of torch.save are read as they are, with the record in them if there is one") {
  const vitrine::testing::TemporaryDirectory directory;
  const std::string values(8, '\0');
  std::vector<ZipMember> members{{"x/data.pkl", pickled_tensor("fc.bias", 2)}, {"x/data/0", values}};
  write_whole(directory / "plain.pth", zip_bytes(members));
  CHECK(checkpoint_weights(directory / "plain.pth").at("fc.bias").equal(at::zeros({2})));
  CHECK(weights_metadata(directory / "plain.pth").empty());
  members.push_back({std::string("x/") + kRecordEntry, R"({"vitrine.kind": "resnet"})"});
  write_whole(directory / "recorded.pth", zip_bytes(members));
  CHECK(weights_metadata(directory / "recorded.pth").at("vitrine.kind") == "resnet");
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
  for (const char* given : {"run", "run/", "run/exported"})
    CHECK(weights_file(fixture.root / given) == RunFiles(options.output).last_weights());
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
  const auto end = metrics_of(options, "end").at(0);
  CHECK(end.at("top1") == summary.at("top1"));
  CHECK(end.at("last_top1") == summary.at("last_top1"));
  const std::optional<TrainResult> told = finished_run(options);
  REQUIRE(told);
  CHECK(told->of_best);
  CHECK(told->remarks.empty());
  CHECK(told->accuracy()->top5 == result.accuracy()->top5);
  CHECK(told->last_accuracy()->top1 == result.last_accuracy()->top1);
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
