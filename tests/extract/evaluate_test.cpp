// vitrine-extract --evaluate: teachers on clean crops, before anything is cached.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "extract/evaluate.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;

namespace {

struct EvaluateFixture : ExtractFixture {
  std::filesystem::path other_weights = root / "other.safetensors", other = root / "other.toml";

  EvaluateFixture() {
    save_teacher(other_weights, 3, 6);
    write_config(other, text_of_config(), {{"'small'", "'other'"}, {weights.string(), other_weights.string()}});
  }
  static void write_config(const std::filesystem::path& path, std::string text,
                           const std::vector<std::pair<std::string, std::string>>& changes) {
    for (const auto& [from, to] : changes) {
      REQUIRE(text.find(from) != std::string::npos);
      text.replace(text.find(from), from.size(), to);
    }
    vitrine::testing::write_whole(path, text);
  }
  CommandResult evaluate(const std::string& arguments) const {
    return vitrine::testing::run("( " + executable("vitrine-extract") + " --evaluate '" + config.string() + "' " +
                                 arguments + " )");
  }
};

}  // namespace

TEST_CASE("teachers are evaluated on the same clean crops, with their agreement, and nothing is written") {
  const EvaluateFixture fixture;
  const CommandResult table = fixture.evaluate("'" + fixture.other.string() + "'");
  CAPTURE(table.output);
  REQUIRE(table.exit_code == 0);
  for (const char* word : {"teacher", "top-1", "calibration", "agrees with 2", "small", "other"})
    CHECK(has(table.output, word));
  const CommandResult result = fixture.evaluate("'" + fixture.other.string() + "' --json 2>/dev/null");
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.output);
  REQUIRE(json.size() == 2);
  CHECK(json[0].at("teacher") == "small");
  CHECK(json[0].at("images") == 15);
  CHECK(json[0].at("top5") == 1.0);  // of three classes
  CHECK(json[0].at("core_ms_per_image") > 0.0);
  CHECK(json[0].at("agreement")[0] == 1.0);
  CHECK(json[0].at("agreement")[1] == json[1].at("agreement")[0]);
  CHECK(json[0].at("agreement")[1] < 1.0);
  const double gap = std::abs(json[0].at("confidence").get<double>() - json[0].at("top1").get<double>());
  CHECK(json[0].at("calibration_error") >= gap - 1e-6);
  CHECK_FALSE(path_exists(fixture.root / "cache"));

  // A smaller sample is drawn from the same images.
  const auto few = nlohmann::json::parse(fixture.evaluate("--set check_images=4 --json 2>/dev/null").output);
  CHECK(few[0].at("images") == 4);
}

TEST_CASE("teachers are evaluated without a picture that is damaged inside, which an extraction leaves out too") {
  const EvaluateFixture fixture;
  vitrine::testing::write_whole(fixture.images / "bee" / "2.jpg", vitrine::testing::damaged_png());
  const CommandResult result = fixture.evaluate("--json 2>/dev/null");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json[0].at("images") == 14);
  CHECK(json[0].at("left_out") == nlohmann::json{{"damaged", 1}});
  CHECK(has(fixture.evaluate("2>/dev/null").output, "left out: 1 damaged\n"));
}

TEST_CASE("a teacher without a head is compared without figures") {
  const EvaluateFixture fixture;
  Tensors headless = load_safetensors(fixture.other_weights);
  headless.erase("head.weight"), headless.erase("head.bias");
  save_safetensors(fixture.other_weights, headless);
  const std::string both = "'" + fixture.other.string() + "'";
  const CommandResult table = fixture.evaluate(both + " 2>/dev/null");
  CAPTURE(table.output);
  REQUIRE(table.exit_code == 0);
  CHECK(has(table.output, "other has no top-1: it has no head\n"));
  const auto json = nlohmann::json::parse(fixture.evaluate(both + " --json 2>/dev/null").output);
  CHECK(json[0].at("top1").is_number());
  CHECK(json[1].at("top1").is_null());
  CHECK(json[1].at("without_top1") == "it has no head");
  CHECK(json[0].at("agreement")[1].is_null());
}

TEST_CASE("an evaluation says what its figures give reason to doubt, and refuses nothing") {
  const EvaluateFixture fixture;
  Tensors sure = load_safetensors(fixture.weights);  // of class 1, for every picture: right on a third
  sure.at("head.weight").zero_();
  sure.at("head.bias").copy_(at::tensor({0.f, 9.f, 1.f}));
  save_safetensors(fixture.weights, sure);
  const CommandResult result = fixture.evaluate("");
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "but its top-1 is only 33.3 %"));
  CHECK(has(result.output, "is at chance for 3 classes"));
  const auto json = nlohmann::json::parse(fixture.evaluate("--json 2>/dev/null").output);
  CHECK(json[0].at("notes").size() == 2);
}

TEST_CASE("teachers whose class maps cover other classes are compared on the images of both") {
  const EvaluateFixture fixture;
  Tensors sure = load_safetensors(fixture.weights);  // of class 1, for every picture
  sure.at("head.weight").zero_();
  sure.at("head.bias").copy_(at::tensor({0.f, 9.f, 1.f}));
  save_safetensors(fixture.weights, sure);
  const std::filesystem::path pairs = fixture.root / "pairs.tsv";
  vitrine::testing::write_whole(pairs, "0\tbee\n1\tcat\n");
  EvaluateFixture::write_config(fixture.other, fixture.text_of_config(),
                                {{"passes = 2", "passes = 2\nclass_map = '" + pairs.string() + "'"}});
  const CommandResult result = fixture.evaluate("'" + fixture.other.string() + "' --json 2>/dev/null");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json[0].at("images") == 15);
  CHECK(json[1].at("images") == 10);
  CHECK(json[1].at("agreement")[1] == 1.0);
  CHECK(json[0].at("agreement")[1] == 0.0);  // one says bee, the other cat
  vitrine::testing::write_whole(pairs, "0\tant\n1\tbee\n");
  const auto same =
      nlohmann::json::parse(fixture.evaluate("'" + fixture.other.string() + "' --json 2>/dev/null").output);
  CHECK(same[1].at("images") == 10);
  CHECK(same[0].at("agreement")[1] == 1.0);
  CHECK(same[1].at("agreement")[0] == 1.0);
}

TEST_CASE("the agreement of teachers without a common image is not given") {
  std::vector<TeacherEvaluation> scores(2);
  scores[0].name = "one", scores[1].name = "two";
  scores[0].agreement = {1.0, std::nullopt}, scores[1].agreement = {std::nullopt, 1.0};
  const auto json = nlohmann::json::parse(as_json(scores));
  CHECK(json[0].at("agreement")[0] == 1.0);
  CHECK(json[0].at("agreement")[1].is_null());
  CHECK(has(as_table(scores), "         100.0%              -\n"));
}

TEST_CASE("teachers that cannot be evaluated are refused in one sentence") {
  const EvaluateFixture fixture;
  const auto refused = [](const CommandResult& result) {
    CHECK(result.exit_code == 2);
    return result.output;
  };
  EvaluateFixture::write_config(fixture.other, fixture.text_of_config(), {{fixture.images.string(), "/nowhere"}});
  CHECK(has(refused(fixture.evaluate("'" + fixture.other.string() + "'")), "name different images"));
  CHECK(has(refused(fixture.evaluate("--set labels=none")), "labelled images"));
  const std::string both = "'" + fixture.other.string() + "'";
  EvaluateFixture::write_config(fixture.other, fixture.text_of_config(), {{"passes = 2", "labels = 'none'"}});
  CHECK(has(refused(fixture.evaluate(both)), "labelled images"));
  // Without its logits an extraction takes a teacher of other classes; its top-1 would be of folder numbers.
  for (const int classes : {2, 7}) {
    ExtractFixture::save_teacher(fixture.other_weights, classes);
    EvaluateFixture::write_config(
        fixture.other, fixture.text_of_config(),
        {{fixture.weights.string(), fixture.other_weights.string()}, {"[taps]", "[taps]\nlogits = false"}});
    CHECK(has(refused(fixture.evaluate(both)), text("its head has ", classes, " classes, the images have 3")));
  }
  Tensors headless = load_safetensors(fixture.weights);
  headless.erase("head.weight"), headless.erase("head.bias");
  save_safetensors(fixture.weights, headless);
  CHECK(has(refused(fixture.evaluate("")), "has no head"));
  const CommandResult two = vitrine::testing::run(executable("vitrine-extract") + " '" + fixture.config.string() +
                                                  "' '" + fixture.config.string() + "'");
  CHECK(has(refused(two), "several configurations are for --evaluate"));
}
