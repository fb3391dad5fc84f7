#include <torch/torch.h>

#include <nlohmann/json.hpp>

#include "common/config/config.h"
#include "tests/train/fixture.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::TrainFixture;

namespace {

struct CliFixture : TrainFixture {
  CliFixture() { make_cache(); }

  std::string command(TrainOptions options, const std::vector<std::string>& settings = {}) const {
    vitrine::testing::write_whole(root / "train.toml", config_as_toml(options));
    std::string line = vitrine::testing::executable("vitrine-train") + " '" + (root / "train.toml").string() + "'";
    for (const std::string& setting : settings) line += " --set '" + setting + "'";
    return line;
  }
  CommandResult train(const std::vector<std::string>& settings = {}) const {
    return vitrine::testing::run(command(options(TargetKind::kCache, "run"), settings));
  }
  /// Exit code 2, nothing trained, and one line that holds every one of `parts` (notes on the way aside).
  void check_refused(const CommandResult& result, const std::vector<std::string>& parts) const {
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(root / "run"));
    const std::string last = result.output.substr(result.output.rfind('\n', result.output.size() - 2) + 1);
    CHECK(last.find("vitrine-train: ") == 0);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(last.find(part) != std::string::npos);
    }
  }
};

}  // namespace

TEST_CASE("a run from a configuration ends with its result; stopped, it says how to go on") {
  const CliFixture fixture;
  const CommandResult stopped = fixture.train({"max_steps=3"});
  CAPTURE(stopped.output);
  CHECK(stopped.exit_code == 0);
  CHECK(stopped.output.find("resume = true") != std::string::npos);
  CHECK(stopped.output.find(" meets the student at layer3") != std::string::npos);
  CHECK(stopped.output.find("so each view is seen 2.5 times; each round over the passes takes them in another order") !=
        std::string::npos);
  const CommandResult ended = fixture.train({"resume=true", "test=" + fixture.images.string()});
  CAPTURE(ended.output);
  CHECK(ended.exit_code == 0);
  CHECK(ended.output.find("top-1") != std::string::npos);
  CHECK(std::filesystem::exists(fixture.root / "run/summary.json"));
}

TEST_CASE("a checkpoint of either kind is judged: by class, calibration, and agreement with its teacher") {
  const CliFixture fixture;
  const std::string test = "test=" + fixture.images.string();
  const auto judged = [](const std::string& line, const std::string& checkpoint) {
    // Notes go to standard error.
    const CommandResult result = vitrine::testing::run(line + " --evaluate '" + checkpoint + "' --json 2> /dev/null");
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.output);
  };
  const auto check_sums = [](const nlohmann::json& json) {
    CHECK(json.at("images") == 15);
    REQUIRE(json.at("classes").size() == 3);
    int right = 0;
    for (const auto& one : json.at("classes")) {
      CHECK(one.at("images") == 5);
      right += one.at("right").get<int>();
    }
    CHECK(json.at("classes")[1].at("name") == "bee");
    CHECK(json.at("top1").get<double>() == doctest::Approx(right / 15.0));
    CHECK(json.at("top5") == 1.0);
    CHECK(json.at("calibration_error").get<double>() >= 0);
    CHECK(json.at("calibration_error").get<double>() <= 1);
  };
  SUBCASE("a ResNet: the run's directory, its final weights and its last checkpoint agree with the run's own test") {
    TrainOptions options = fixture.options(TargetKind::kCache, "run");
    const CommandResult run = vitrine::testing::run(fixture.command(options, {test}));
    CAPTURE(run.output);
    REQUIRE(run.exit_code == 0);
    const auto summary = nlohmann::json::parse(vitrine::testing::read_whole(fixture.root / "run/summary.json"));
    const std::string line = fixture.command(options, {test});
    for (const char* name : {"run", "run/final.safetensors", "run/checkpoint-20.safetensors"}) {
      const nlohmann::json json = judged(line, (fixture.root / name).string());
      check_sums(json);
      CHECK(json.at("top1") == summary.at("top1"));
      CHECK_FALSE(json.contains("teacher_agreement"));
    }
    const CommandResult table = vitrine::testing::run(line + " --evaluate '" + (fixture.root / "run").string() + "'");
    for (const char* part : {"ant", "bee", "cat", "top-1", "calibration error", "15 images"})
      CHECK(table.output.find(part) != std::string::npos);
    CHECK(table.output.find("left out") == std::string::npos);
    // What cannot be judged is listed, each with its kind and reason.
    vitrine::testing::write_whole(fixture.images / "bee/broken.jpg", "\xff\xd8\xff and then nothing");
    std::filesystem::create_directories(fixture.images / "__MACOSX");
    const CommandResult listed = vitrine::testing::run(line + " --evaluate '" + (fixture.root / "run").string() + "'");
    CHECK(listed.output.find("left out: 1 damaged, 1 junk folder\n") != std::string::npos);
    CHECK(listed.output.find("  damaged: " + (fixture.images / "bee/broken.jpg").string() + ": ") != std::string::npos);
    const nlohmann::json left_out = judged(line, (fixture.root / "run").string()).at("left_out");
    REQUIRE(left_out.size() == 2);
    CHECK(left_out[1].at("kind") == "damaged");
    CHECK(left_out[1].at("path") == (fixture.images / "bee/broken.jpg").string());
    CHECK(left_out[1].at("reason").get<std::string>().find("cut short") != std::string::npos);
    std::filesystem::remove(fixture.images / "bee/broken.jpg");
    const CommandResult wrong = vitrine::testing::run(line + " --evaluate '" + fixture.weights.string() + "'");
    CHECK(wrong.exit_code == 2);
    CHECK(wrong.output.find("holds a ViT") != std::string::npos);
  }
  SUBCASE("a ViT, which as its own teacher agrees with itself on every image") {
    TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
    options.model.kind = "vit";
    options.model.vit = options.targets.teacher.vit;
    const nlohmann::json json = judged(fixture.command(options, {test}), fixture.weights.string());
    check_sums(json);
    CHECK(json.at("teacher_agreement") == 1.0);
    const nlohmann::json unlabelled = judged(fixture.command(options, {test, "labels=none"}), fixture.weights.string());
    CHECK(unlabelled.at("images") == 15);
    CHECK(unlabelled.at("teacher_agreement") == 1.0);
    CHECK_FALSE(unlabelled.contains("top1"));
    CHECK_FALSE(unlabelled.contains("classes"));
    options.targets.teacher.weights.clear();
    const CommandResult nobody = vitrine::testing::run(fixture.command(options, {test, "labels=none"}) +
                                                       " --evaluate '" + fixture.weights.string() + "'");
    CHECK(nobody.exit_code == 2);
    CHECK(nobody.output.find("agreement with the teacher alone") != std::string::npos);
  }
}

TEST_CASE("--evaluate needs images to judge on, and a checkpoint that is there") {
  const CliFixture fixture;
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"));
  const CommandResult no_images = vitrine::testing::run(line + " --evaluate '" + fixture.weights.string() + "'");
  CHECK(no_images.exit_code == 2);
  CHECK(no_images.output.find("test is not given") != std::string::npos);
  const CommandResult nothing = vitrine::testing::run(line + " --set 'test=" + fixture.images.string() +
                                                      "' --evaluate '" + (fixture.root / "images").string() + "'");
  CHECK(nothing.exit_code == 2);
  CHECK(nothing.output.find("last.json") != std::string::npos);
}

TEST_CASE("a cache of other images or another order of classes is refused with the difference") {
  const CliFixture fixture;
  SUBCASE("a class that sorts elsewhere") {
    std::filesystem::rename(fixture.images / "ant", fixture.images / "dog");
    fixture.check_refused(fixture.train(), {"class 0", "ant", "bee"});
  }
  SUBCASE("a class fewer") {
    std::filesystem::remove_all(fixture.images / "cat");
    fixture.check_refused(fixture.train(), {"3 classes", "2"});
  }
  SUBCASE("an image fewer") {
    std::filesystem::remove(fixture.images / "bee/2.jpg");
    fixture.check_refused(fixture.train(), {"15 images", "14"});
  }
  SUBCASE("an image of other contents") {
    std::filesystem::copy_file(fixture.images / "bee/3.jpg", fixture.images / "bee/2.jpg",
                               std::filesystem::copy_options::overwrite_existing);
    fixture.check_refused(fixture.train(), {"bee/2.jpg", "other contents"});
  }
}

TEST_CASE("bad settings end with code 2 and one sentence") {
  const CliFixture fixture;
  SUBCASE("an unknown key") {
    fixture.check_refused(fixture.train({"schedule.joint.epoch=3"}), {"schedule.joint.epoch"});
  }
  SUBCASE("a value out of range") {
    fixture.check_refused(fixture.train({"loss.label_smoothing=2"}), {"loss.label_smoothing"});
  }
  SUBCASE("no such weights") {
    fixture.check_refused(fixture.train({"model.weights=nowhere.safetensors"}), {"nowhere.safetensors"});
  }
  SUBCASE("no such track") {
    fixture.check_refused(fixture.train({"targets.features=features.5"}), {"features.5"});
  }
  SUBCASE("no such cache") {
    fixture.check_refused(fixture.train({"targets.cache=nowhere"}), {"nowhere"});
  }
  SUBCASE("no images") {
    fixture.check_refused(fixture.train({"images="}), {"images"});
  }
  SUBCASE("a batch that does not divide the group") {
    fixture.check_refused(fixture.train({"batch=3"}), {"batch = 3", "8"});
  }
  SUBCASE("a mean that is not three colours") {
    fixture.check_refused(fixture.train({"mean=[0.5]"}), {"mean has 1 numbers", "three"});
  }
  SUBCASE("a batch beyond a pass") {
    fixture.check_refused(fixture.train({"batch=64"}), {"batch = 64", "16"});
  }
  SUBCASE("an align phase without features") {
    fixture.check_refused(fixture.train({"targets.features="}), {"schedule.align", "targets.features"});
  }
}

TEST_CASE("the configuration for ImageNet names only keys that exist, and a batch of whole groups") {
  TrainOptions options;
  load_config(std::filesystem::path(std::getenv("VITRINE_SOURCE")) / "configs/imagenet-train.toml", {}, options);
  CHECK(options.targets.source == TargetKind::kCache);
  CHECK(options.batch % options.plan.group == 0);
  CHECK(options.schedule.run_epochs() == 26);
}
