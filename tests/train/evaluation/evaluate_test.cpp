// Weights record their model, size, preprocessing and classes, and are evaluated with these when the configuration
// leaves them out.
#include <ATen/ATen.h>

#include <numeric>
#include <span>
#include <nlohmann/json.hpp>
#include <vector>

#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/evaluation/evaluate.h"
#include "train/evaluation/report.h"
#include "common/models/weights/weights_record.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::differences;
using vitrine::testing::executable;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_whole;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;

namespace {

struct EvaluateFixture : TrainFixture {
  /// A ResNet-34 trained from labels with settings that differ from all defaults; four steps, evaluated on its training
  /// images.
  TrainOptions run(const std::string& output) const {
    TrainOptions out = joint(TargetKind::kNone, output);
    out.schedule.joint.lr = 0.05;
    out.model.arch = "resnet34";
    out.size = 40;
    out.mean = {0.5, 0.4, 0.3};
    out.stddev = {0.25, 0.3, 0.35};
    out.crop_pct = 0.8;
    out.validation = out.test = images.string();
    return out;
  }
  nlohmann::json evaluated(const std::string& arguments) const {
    const CommandResult result = vitrine::testing::run("( " + executable("vitrine-train") + " " + arguments +
                                                       " --json 2> '" + (root / "notes").string() + "' )");
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.output);
  }
  std::string quoted(const std::filesystem::path& path) const { return "'" + (root / path).string() + "'"; }
  void copy_class(const std::string& from, const std::string& to) const {
    std::filesystem::create_directories((root / to).parent_path());
    std::filesystem::copy(images / from, root / to);
  }
};

}  // namespace

TEST_CASE("weight files carry a record, and other readers of the format can read them") {
  const EvaluateFixture fixture;
  const TrainOptions options = fixture.run("run");
  trained(options);
  for (const char* name : {"exported/last", "exported/best", "checkpoints/checkpoint-4"}) {
    CAPTURE(name);
    const auto path = fixture.root / "run" / (std::string(name) + ".safetensors");
    const auto metadata = load_safetensors_metadata(path);
    CHECK(metadata.at("format") == "pt");
    const auto record = WeightsRecord::parse(metadata, path.string());
    REQUIRE(record);
    CHECK(record->model.kind == "resnet");
    CHECK(record->model.arch == "resnet34");
    CHECK(record->model.width == 8);
    CHECK(record->size == 40);
    CHECK(record->mean == options.mean);
    CHECK(record->stddev == options.stddev);
    CHECK(record->crop_pct == 0.8);
    CHECK(record->classes == std::vector<std::string>{"ant", "bee", "cat"});
    CHECK(record->step == 4);
    CHECK(record->selection == (std::string(name) == "exported/best" ? "top1" : "last"));
    CHECK(record->score.has_value() == (std::string(name) == "exported/best"));
  }
  CHECK_FALSE(WeightsRecord::parse({{"format", "pt"}}, "weights from elsewhere"));
  auto metadata = load_safetensors_metadata(fixture.root / "run/exported/last.safetensors");
  metadata["vitrine.classes"] = "[\"ant\"]";
  CHECK(has(message_of([&] { WeightsRecord::parse(metadata, "a file"); }), "a file: its metadata \"vitrine.classes\""));
  metadata.erase("vitrine.width");
  CHECK(has(message_of([&] { WeightsRecord::parse(metadata, "a file"); }), "a file: its metadata \"vitrine.width\""));
}

TEST_CASE("--evaluate needs no configuration, evaluates the best weights and prints which file it used") {
  const EvaluateFixture fixture;
  const TrainOptions options = fixture.run("run");
  trained(options);
  const auto summary = vitrine::testing::summary_of(options);
  const std::string run = "--evaluate " + fixture.quoted("run"), images = " --images " + fixture.quoted("images");
  const auto best = fixture.evaluated(run);  // on the test images of run/config.toml
  CHECK(has(best.at("checkpoint").get<std::string>(), "run/exported/best.safetensors"));
  CHECK(has(best.at("about").get<std::string>(), "step 4, chosen by top1"));
  CHECK(best.at("top1") == summary.at("best").at("score"));
  const auto final = fixture.evaluated("--evaluate " + fixture.quoted("run/exported/last.safetensors") + images);
  CHECK(final.at("top1") == summary.at("top1"));
  std::filesystem::remove(fixture.root / "run/exported/best.safetensors");
  std::filesystem::remove(fixture.root / "run/config.toml");
  CHECK(has(fixture.evaluated(run + images).at("checkpoint").get<std::string>(), "run/exported/last.safetensors"));
  std::filesystem::remove(fixture.root / "run/exported/last.safetensors");
  CHECK(has(fixture.evaluated(run + images).at("checkpoint").get<std::string>(),
            "run/checkpoints/checkpoint-4.safetensors"));
  const CommandResult nothing = vitrine::testing::run(executable("vitrine-train"));
  CHECK(nothing.exit_code == 2);
  CHECK(has(nothing.output, "CONFIG is required"));
  const CommandResult silent =
      vitrine::testing::run(executable("vitrine-train") + " --evaluate '" + fixture.weights.string() + "'" + images);
  CHECK(silent.exit_code == 2);
  CHECK(has(silent.output, "does not record which model its weights are of"));
}

TEST_CASE("a configuration with another model than the weights is refused; other differences are noted") {
  const EvaluateFixture fixture;
  trained(fixture.run("run"));
  const std::string run = "--evaluate " + fixture.quoted("run");
  const CommandResult other = vitrine::testing::run(executable("vitrine-train") + " " + run +
                                                    " --set model.arch=resnet50 --set model.width=16");
  CHECK(other.exit_code == 2);
  CHECK(has(other.output, "model.arch = resnet50 (its: resnet34), model.width = 16 (its: 8)"));
  const auto before = fixture.evaluated(run);
  fixture.evaluated(run + " --set size=64 --set crop_pct=1.0");
  const std::string notes = read_whole(fixture.root / "notes");
  CHECK(has(notes, "was trained with size = 40; evaluated with 64, as configured"));
  CHECK(has(notes, "was trained with crop_pct = 0.8; evaluated with 1, as configured"));
  // A configuration with defaults does not contradict the record.
  TrainOptions plain;
  plain.test = fixture.images.string();
  vitrine::testing::write_whole(fixture.root / "plain.toml", config_as_toml(plain));
  CHECK(fixture.evaluated(fixture.quoted("plain.toml") + " " + run) == before);
}

TEST_CASE("classes without images are counted, and at most three of them named") {
  const std::vector<std::string> names{"a", "b", "c", "d", "e"};
  const auto words = [&](const std::vector<std::uint64_t>& images) {
    return classes_without_images(names, images, "the model's", "image here");
  };
  CHECK(words({1, 1, 1, 1, 1}).empty());
  CHECK(words({1, 0, 1, 1, 1}) == "1 of the model's 5 classes has no image here: b");
  CHECK(words({0, 0, 1, 0, 1}) == "3 of the model's 5 classes have no image here: a, b, d");
  CHECK(words({0, 0, 0, 0, 0}) == "5 of the model's 5 classes have no image here: a, b, c and 2 more");
}

TEST_CASE("the table of classes cuts and pads their names by characters") {
  Report report;
  const std::string longest(39, 'a');
  report.classes = {longest + "\xC3\xA9", "caf\xC3\xA9"};
  report.metrics.emplace(2);
  report.metrics->add(at::eye(2), at::tensor({0, 1}, at::kLong), {});
  const std::string table = as_text(report);
  CAPTURE(table);
  CHECK(has(table, "\n" + longest + "          1 "));
  CHECK(has(table, "\ncaf\xC3\xA9" + std::string(36, ' ') + "         1 "));
}

TEST_CASE(
    "labels are matched by class name: a subset in any order is accepted, and an unknown class is refused by name") {
  const EvaluateFixture fixture;
  const TrainOptions options = fixture.run("run");
  trained(options);
  const std::string evaluate = "--evaluate " + fixture.quoted("run/exported/last.safetensors") + " --images ";
  const auto all = fixture.evaluated(evaluate + fixture.quoted("images"));
  const auto right = [](const nlohmann::json& json, const std::string& name) {
    for (const auto& one : json.at("classes"))
      if (one.at("name") == name) return one.at("right").get<int>();
    return -1;
  };
  fixture.copy_class("cat", "some/cat");
  fixture.copy_class("bee", "some/bee");
  const auto some = fixture.evaluated(evaluate + fixture.quoted("some"));
  CHECK(some.at("images") == 10);
  const std::string words =
      vitrine::testing::run(executable("vitrine-train") + " " + evaluate + fixture.quoted("some")).output;
  CHECK(has(words, "\n1 of the model's 3 classes has no image here: ant\n\n"));
  for (const char* name : {"bee", "cat"}) CHECK(right(some, name) == right(all, name));
  CHECK(some.at("top1").get<double>() == doctest::Approx((right(all, "bee") + right(all, "cat")) / 10.0));
  fixture.copy_class("cat", "only/cat");
  const auto only = fixture.evaluated(evaluate + fixture.quoted("only"));
  CHECK(only.at("images") == 5);
  CHECK(right(only, "cat") == right(all, "cat"));
  // The same number of classes, with other names.
  fixture.copy_class("ant", "strange/ant");
  fixture.copy_class("bee", "strange/wasp");
  fixture.copy_class("cat", "strange/zebra");
  const CommandResult strange =
      vitrine::testing::run(executable("vitrine-train") + " " + evaluate + fixture.quoted("strange"));
  CHECK(strange.exit_code == 2);
  CHECK(has(strange.output, "the class folders wasp, zebra are not among the 3 classes of "));
  // Also in training.
  TrainOptions next = fixture.run("next");
  next.validation = (fixture.root / "some").string();
  next.test = "";
  CHECK_NOTHROW(trained(next));
  next.output += "-2";
  next.validation = (fixture.root / "strange").string();
  CHECK(has(message_of([&] { trained(next); }), "are not among the 3 classes of the student"));
}

TEST_CASE("weights without class names are evaluated by class position if the number matches, with a note") {
  const EvaluateFixture fixture;
  TrainOptions options = fixture.run("run");
  trained(options);
  const std::string old = (fixture.root / "old.safetensors").string();
  save_safetensors(old, load_safetensors(fixture.root / "run/exported/last.safetensors"));
  vitrine::testing::write_whole(fixture.root / "train.toml", config_as_toml(options));
  const std::string evaluate = fixture.quoted("train.toml") + " --evaluate " + fixture.quoted("old.safetensors");
  const auto evaluated = fixture.evaluated(evaluate);
  CHECK(has(read_whole(fixture.root / "notes"), "has no class names; its classes are assumed to be the 3"));
  CHECK(evaluated.at("top1") == fixture
                                    .evaluated("--evaluate " + fixture.quoted("run/exported/last.safetensors") +
                                               " --images " + fixture.quoted("images"))
                                    .at("top1"));
  fixture.copy_class("cat", "some/cat");
  fixture.copy_class("bee", "some/bee");
  const CommandResult fewer =
      vitrine::testing::run(executable("vitrine-train") + " " + evaluate + " --images " + fixture.quoted("some"));
  CHECK(fewer.exit_code == 2);
  CHECK(has(fewer.output, "has 2 class folders, "));
}

TEST_CASE("the head of given weights is matched by class names") {
  const EvaluateFixture fixture;
  TrainOptions options = fixture.run("run");
  trained(options);
  ModelOptions model = options.model;
  model.weights = (fixture.root / "run/exported/last.safetensors").string();
  const Tensors weights = load_safetensors(model.weights);
  const auto head = [&](const std::vector<std::string>& names) {
    at::manual_seed(1);
    Network network(model, static_cast<int>(names.size()), at::kCPU, names);
    return network.module().named_parameters()["fc.weight"].detach().clone();
  };
  CHECK(at::equal(head({"ant", "bee", "cat"}), weights.at("fc.weight")));
  CHECK(at::equal(head({"cat", "ant", "bee"}),
                  weights.at("fc.weight").index_select(0, at::tensor({2, 0, 1}, at::kLong))));
  // The same number of other classes: the old head is not used.
  const at::Tensor other = head({"ant", "bee", "dog"});
  for (std::int64_t row = 0; row < 3; ++row)
    for (std::int64_t theirs = 0; theirs < 3; ++theirs)
      CHECK_FALSE(at::equal(other[row], weights.at("fc.weight")[theirs]));
}

TEST_CASE("a stop ends an evaluation, and agreement, between two batches") {
  const EvaluateFixture fixture;
  const TrainOptions options = fixture.run("run");
  for (int i = 0; i < 60; ++i)
    std::filesystem::copy_file(fixture.images / "ant/0.jpg",
                               fixture.images / "ant" / ("more" + std::to_string(i) + ".jpg"));
  const Evaluation evaluation(fixture.images, options.evaluation_options(32));
  REQUIRE(evaluation.index().images.size() == 75);
  Network network(options.model, 3, at::kCPU);
  StopFlag stop{false};
  std::size_t batches = 0;
  CHECK_THROWS_AS(evaluation.visit(
                      network, at::kCPU,
                      [&](const at::Tensor&, const at::Tensor&, std::span<const std::uint32_t>) {
                        ++batches;
                        stop = true;
                      },
                      stop),
                  Stopped);
  CHECK(batches == 1);
  CHECK_THROWS_AS(evaluation.run(network, at::kCPU, stop), Stopped);
}
