// vitrine choose, from a table to a choice.
#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/models/resnet.h"
#include "common/models/weights/load.h"
#include "common/models/weights/safetensors.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

namespace fs = std::filesystem;

// Latencies as of some other machine: the widest is too slow, resnet34 slower than a larger one.
constexpr const char* kTable =
    "arch,width,size,latency_ms,multiply_adds,parameters\n"
    "resnet18,4,32,1,100,100\nresnet18,8,32,3,400,400\nresnet34,4,32,4,200,200\nresnet18,16,32,20,900,900\n";

struct Choice : TrainFixture {
  fs::path out = root / "choice", table = root / "phone.csv";

  Choice() {
    make_cache();
    TrainOptions training = logits_only(TargetKind::kCache, "unused");
    training.validation = training.test = images.string();
    training.size = 32;
    write_whole(root / "train.toml", config_as_toml(training));
    write_whole(table, kTable);
  }
  CommandResult choose(const std::string& more) const {
    return run("'" + executable("vitrine") + "' choose '" + (root / "train.toml").string() + "' --out '" +
               out.string() + "' " + more);
  }
  std::string on_table() const { return "--on '" + table.string() + "' "; }
};

}  // namespace

TEST_CASE("choose: the students that can pay are trained, drawn, and one is chosen; the same command resumes") {
  const Choice fixture;
  const CommandResult result = fixture.choose(fixture.on_table() + "--latency 5ms");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  for (const char* words : {"too slow", "another is no slower and larger", "== 1 of 2: resnet18-w8-32",
                            "== 2 of 2: resnet18-w4-32", "the choice: "})
    CHECK(has(result.output, words));
  CHECK_FALSE(fs::exists(fixture.out / "resnet34-w4-32"));
  const auto json = nlohmann::json::parse(read_whole(fixture.out / "choice.json"));
  REQUIRE(json.at("students").size() == 2);
  double best = -1;
  for (const auto& student : json.at("students")) {
    const auto summary =
        nlohmann::json::parse(read_whole(fixture.out / student.at("run").get<std::string>() / "summary.json"));
    CHECK(student.at("score").get<double>() == doctest::Approx(summary.at("best").at("score").get<double>()));
    CHECK(student.at("test_top1").get<double>() == doctest::Approx(summary.at("top1").get<double>()));
    best = std::max(best, student.at("score").get<double>());
  }
  CHECK(json.at("measured_on").is_null());  // an old table
  CHECK(json.at("score") == "best top-1 on the validation images");
  CHECK(has(result.output, "best top-1 on the validation images  top-1 on the test images"));
  for (const auto& student : json.at("students"))
    if (student.at("run") == json.at("choice")) CHECK(student.at("score").get<double>() == best);
  const std::string svg = read_whole(fixture.out / "choice.svg");
  CHECK(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  for (const char* words : {"latency, ms", "resnet18-w8-32", "resnet18-w4-32", ", the choice", "%"})
    CHECK(has(svg, words));
  CHECK(svg.ends_with("</svg>\n"));

  const CommandResult again = fixture.choose(fixture.on_table() + "--latency 5ms");
  CAPTURE(again.output);
  CHECK(again.exit_code == 0);
  CHECK(has(again.output, "was finished before"));
  CHECK(read_whole(fixture.out / "choice.svg") == svg);

  const CommandResult other = fixture.choose(fixture.on_table() + "--latency 6ms");
  CAPTURE(other.output);
  CHECK(other.exit_code == 2);
  CHECK(has(other.output, "was begun with another request: latency is \"5ms\", but \"6ms\" in this command"));
}

TEST_CASE("choose: tiny students are measured on this machine into a table that can be given elsewhere") {
  const Choice fixture;
  const fs::path csv = fixture.root / "here.csv";
  const std::string tiny = "--depths 18 --widths 4,8 --sizes 32,64 --classes 3 --seconds 0 --threads 1 ";
  const CommandResult measured =
      run("'" + executable("vitrine-choose") + "' --measure-only " + tiny + "-o '" + csv.string() + "'");
  CAPTURE(measured.output);
  REQUIRE(measured.exit_code == 0);
  const std::string table = read_whole(csv);
  CHECK(std::ranges::count(table, '\n') == 5);
  CHECK(has(table, "\nresnet18,4,32,"));
  CHECK(has(measured.output, "measuring 4 networks, 0 s each: vitrine, fp32, 1 thread of "));
  CHECK(has(table, ",vitrine,1,fp32\n"));
  const CommandResult dry =
      run("'" + executable("vitrine-choose") + "' --dry-run --latency 1000s --on '" + csv.string() + "'");
  CAPTURE(dry.output);
  CHECK(dry.exit_code == 0);
  CHECK(has(dry.output, "measured: vitrine, fp32, 1 thread of "));
  CHECK(has(dry.output, "resnet18-w8-64"));
  CHECK(has(dry.output, "is trained"));
}

TEST_CASE("choose: by default two widths and sizes up to the training's are measured, and the record has them") {
  const Choice fixture;
  const CommandResult result = fixture.choose("--latency 0.000001ms --depths 18 --classes 3 --seconds 0 --threads 1");
  CAPTURE(result.output);
  CHECK(result.exit_code == 2);
  CHECK(has(result.output, "no candidate is that quick, the quickest takes "));
  CHECK(has(result.output, "measuring 2 networks"));
  for (const char* name : {"resnet18-32", "resnet18-w32-32"}) CHECK(has(result.output, name));
  const auto request = nlohmann::json::parse(read_whole(fixture.out / "choose.json")).at("request");
  CHECK(request.at("sizes").get<std::vector<int>>() == std::vector{32});
  CHECK(request.at("widths").get<std::vector<int>>() == std::vector{32, 64});
}

TEST_CASE("choose: weights to start from allow their depth and width only, which is said before anything is measured") {
  const Choice fixture;
  const fs::path weights = fixture.root / "narrow.safetensors";
  save_safetensors(weights, state_dict(*ResNet("resnet18", 3, 16)));
  const std::string from = "--latency 100s --classes 3 --seconds 0 --threads 1 --set model.weights=" + weights.string();
  const auto refused = [&](const std::string& more, const std::string& what, const std::string& advice) {
    const CommandResult result = fixture.choose(from + " " + more);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, "which do not fit " + what + "; " + advice));
    CHECK_FALSE(has(result.output, "measuring"));
    CHECK_FALSE(fs::exists(fixture.out));
  };
  refused("", "resnet34 of width 16", "give --depths 18 --widths 16, or leave model.weights out");
  refused("--depths 18 --widths 16,64", "resnet18 of width 64", "give --depths 18 --widths 16,");
  refused("--depths 50", "resnet50 of width 16", "give --depths 18 --widths 16,");
  refused("--dry-run", "resnet34 of width 16", "give --depths 18");
  refused(fixture.on_table(), "resnet18 of width 4", "give a table of --depths 18 --widths 16,");
  const CommandResult one = fixture.choose(from + " --depths 18 --dry-run");  // the width is the file's
  CAPTURE(one.output);
  CHECK(one.exit_code == 0);
  CHECK(has(one.output, "measuring 1 network"));
  CHECK(has(one.output, "resnet18-w16-32"));
}

TEST_CASE("choose: what cannot be is refused in one sentence, and nothing is written") {
  const Choice fixture;
  const auto says = [&](const std::string& more, const std::string& words) {
    const CommandResult result = fixture.choose(more);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, words));
    CHECK_FALSE(fs::exists(fixture.out));
  };
  says("", "--latency is missing");
  says("--latency fast", "--latency fast is not a duration");
  says("--latency 5ms --on moon", "moon: does not exist; give --on vitrine, onnxruntime or a table");
  says("--latency 5ms --depths 19", "--depths");
  says("--latency 5ms --on onnxruntime --precision bf16", "ONNX Runtime computes these networks in fp32");
  says("--latency 5ms --measure-only", "--measure-only needs -o FILE.csv");
  const CommandResult strange =
      run("'" + executable("vitrine-choose") + "' '" + (fixture.root / "train.toml").string() +
          "' --set 'images=caf\xe9' --latency 5ms --out '" + fixture.out.string() + "' " + fixture.on_table());
  CAPTURE(strange.output);
  CHECK(strange.exit_code == 2);
  CHECK(has(strange.output, "is not UTF-8, so that no TOML or JSON file can name it"));
  CHECK_FALSE(fs::exists(fixture.out));
  const fs::path inside = fixture.images / "choice";
  const CommandResult among = run("'" + executable("vitrine-choose") + "' '" + (fixture.root / "train.toml").string() +
                                  "' --out '" + inside.string() + "' --latency 5ms " + fixture.on_table());
  CHECK(among.exit_code == 2);
  CHECK(has(among.output, "--out is in images = " + fixture.images.string() +
                              ", where its directory would count as a class; choose another --out"));
  CHECK_FALSE(fs::exists(inside));
  says("--latency 5ms --seconds nan", "nan is not a number from 0 to 3600");
  says("--latency 5ms --set sing=1 " + fixture.on_table(), "sing");
  says("--latency 5ms --set validation= --set test= " + fixture.on_table(),
       "train.toml: gives nothing to choose a student by; set test, or validation or hold_out");
  says("--latency 5ms --set select=last --set test= " + fixture.on_table(), "gives nothing to choose a student by");
  says("--latency 5ms --set max_steps=5 " + fixture.on_table(),
       "train.toml: max_steps = 5 stops every student before it is finished; leave it out");
  says("--latency 0.5ms --dry-run " + fixture.on_table(), "no candidate is that quick");
  write_whole(fixture.out / "letter.txt", "dear");
  const CommandResult result = fixture.choose("--latency 5ms " + fixture.on_table());
  CHECK(result.exit_code == 2);
  CHECK(has(result.output, "is not empty, and not a directory of vitrine choose"));
  CHECK(read_whole(fixture.out / "letter.txt") == "dear");
}
