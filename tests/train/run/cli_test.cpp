#include <ATen/ATen.h>

#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>

#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/config/config.h"
#include "tests/support/instances.h"
#include "tests/support/message.h"
#include "tests/support/signals.h"
#include "tests/train/fixture.h"
#include "train/data/batches.h"
#include "train/data/prefetch.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::TrainFixture;

namespace {

using vitrine::testing::has;
using vitrine::testing::read_log;

std::string command_that_goes_on(const std::string& output) {
  const std::string before = "to resume: ";
  const std::size_t at = output.find(before);
  REQUIRE(at != std::string::npos);
  return output.substr(at + before.size(), output.find('\n', at) - at - before.size());
}

struct CliFixture : TrainFixture {
  CliFixture() { make_cache(); }

  std::string command(TrainOptions options, const std::vector<std::string>& settings = {}) const {
    std::string more;
    for (const std::string& setting : settings) more += " --set '" + setting + "'";
    return train_command(options, more);
  }
  CommandResult train(const std::vector<std::string>& settings = {}) const {
    return vitrine::testing::run(command(options(TargetKind::kCache, "run"), settings));
  }
  /// Checks for exit code 2, no run, and one error line (besides notes) that contains all `parts`.
  void check_refused(const CommandResult& result, const std::vector<std::string>& parts) const {
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(root / "run"));
    const std::string last = result.output.substr(result.output.rfind('\n', result.output.size() - 2) + 1);
    CHECK(last.find("vitrine-train: ") == 0);
    for (const std::string& part : parts) {
      CAPTURE(part);
      CHECK(has(last, part));
    }
  }
};

}  // namespace

TEST_CASE(
    "a run from a configuration prints its result; a stopped run prints the command that resumes it, which works") {
  const CliFixture fixture;
  const CommandResult stopped = fixture.train({"max_steps=3", "test=" + fixture.images.string()});
  CAPTURE(stopped.output);
  CHECK(stopped.exit_code == 0);
  CHECK(has(stopped.output, "stopped after step 3 of 20"));
  CHECK(has(stopped.output, " meets the student at layer3"));
  CHECK(has(stopped.output, "so each view is seen 2.5 times; the order of the passes' views differs in each round"));
  const CommandResult ended = vitrine::testing::run(command_that_goes_on(stopped.output));
  CAPTURE(ended.output);
  CHECK(ended.exit_code == 0);
  CHECK(has(ended.output, "resuming after step 3 of 20"));
  CHECK(has(ended.output, "top-1"));
  CHECK(has(ended.output, "features.1 was distilled into layer3 at size 32"));
  const auto summary = nlohmann::json::parse(vitrine::testing::read_whole(fixture.root / "run/summary.json"));
  CHECK(summary.at("stages").at("features.1") == "layer3");
  CHECK(summary.at("size") == 32);
  // The same command again does nothing and prints the result. The run's directory has its configuration.
  const auto before = fixture.files("run");
  const CommandResult again = vitrine::testing::run(vitrine::testing::executable("vitrine-train") + " '" +
                                                    (fixture.root / "run/config.toml").string() + "'");
  CAPTURE(again.output);
  CHECK(again.exit_code == 0);
  CHECK(has(again.output, "was finished before"));
  const std::size_t top1 = ended.output.find("top-1");
  CHECK(has(again.output, ended.output.substr(top1, ended.output.find('\n', top1) - top1)));
  CHECK((fixture.files("run") == before));
}

TEST_CASE("a finished run with other test images says so, with the command that evaluates on them") {
  const CliFixture fixture;
  const std::string other = (fixture.root / "my images").string();
  std::filesystem::copy(fixture.images, other, std::filesystem::copy_options::recursive);
  std::filesystem::remove(other + "/ant/0.jpg");
  REQUIRE(fixture.train({"test=" + fixture.images.string()}).exit_code == 0);
  const auto before = fixture.files("run");
  const CommandResult told = fixture.train({"test=" + other});
  CAPTURE(told.output);
  CHECK(told.exit_code == 0);
  CHECK(has(told.output, "this run was finished before; its result:"));
  CHECK(has(told.output, "test = " + other + ": the run's images were those of "));
  CHECK_FALSE(has(told.output, "unchanged"));
  const std::string words = "to evaluate it on these: vitrine-train";
  const std::size_t at = told.output.find(words);
  REQUIRE(at != std::string::npos);
  const std::string arguments = told.output.substr(at + words.size(), told.output.find('\n', at) - at - words.size());
  const CommandResult evaluated = vitrine::testing::run(vitrine::testing::executable("vitrine-train") + arguments);
  CAPTURE(evaluated.output);
  CHECK(evaluated.exit_code == 0);
  CHECK(has(evaluated.output, " on 14 images of " + other));

  const CommandResult missing = fixture.train({"test=" + (fixture.root / "nowhere").string()});
  CAPTURE(missing.output);
  CHECK(missing.exit_code == 2);
  CHECK(has(missing.output, "nowhere: is not a folder, but test names it; the run is finished, with other images"));
  const CommandResult validated = fixture.train({"validation=" + other});
  CAPTURE(validated.output);
  CHECK(has(validated.output, "validation = " + other + ": the run was not validated; to evaluate it on these: "));
  CHECK((fixture.files("run") == before));
}

TEST_CASE("an epoch has one line on the screen: the loss and the agreement so far, and what was validated") {
  const CliFixture fixture;
  const auto lines_of = [](const std::string& output, const char* start) {
    std::vector<std::string> out;
    std::istringstream lines(output);
    for (std::string line; std::getline(lines, line);)
      if (line.starts_with(start)) out.push_back(line);
    return out;
  };
  const CommandResult result = fixture.train();  // joint: epochs 2 to 4, of four logged steps each
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  const std::vector<std::string> second = lines_of(result.output, "epoch 2, joint: "),
                                 third = lines_of(result.output, "epoch 3, joint: ");
  REQUIRE(second.size() == 1);
  CHECK(std::regex_match(second[0], std::regex("epoch 2, joint: agreement [0-9.]+ % on training views")));
  REQUIRE(third.size() == 1);
  CHECK(std::regex_match(third[0], std::regex("epoch 3, joint: .*kl from .*, agreement [0-9.]+ % on training views")));

  const CommandResult validated =
      fixture.train({"restart=true", "max_steps=8", "validation=" + fixture.images.string()});
  CAPTURE(validated.output);
  const std::vector<std::string> both = lines_of(validated.output, "epoch 2, joint: ");
  REQUIRE(both.size() == 1);
  CHECK(std::regex_search(both[0], std::regex("agreement [0-9.]+ % on training views; top-1 \\d+\\.\\d\\d %")));
}

TEST_CASE("a run that sees its views often says so before its first step") {
  const CliFixture fixture;
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"));
  const CommandResult often = vitrine::testing::run(line + " --dry-run --set schedule.joint.epochs=18");
  CHECK(often.exit_code == 0);
  CHECK(has(often.output, "warning: each view is seen 10 times; "));
  CHECK(has(often.output, "; extract more passes, or train for fewer epochs\n"));
  CHECK_FALSE(has(vitrine::testing::run(line + " --dry-run").output, "warning: each view is seen"));
}

TEST_CASE("the screen begins with what differs from the defaults; the run's directory has all keys") {
  const CliFixture fixture;
  const CommandResult result = fixture.train({"max_steps=2", "loss.temperature=2.5"});
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "# where the configuration differs from the defaults; all keys: "));
  CHECK(has(result.output, "\nloss.temperature = 2.5\n"));
  CHECK_FALSE(has(result.output, "loss.label_smoothing"));
  const std::string kept = vitrine::testing::read_whole(fixture.root / "run/config.toml");
  CHECK(has(kept, "loss.temperature = 2.5\n"));
  CHECK(has(kept, "loss.label_smoothing = 0.0\n"));
}

TEST_CASE("--quiet and --log-format json: standard error has nothing, or one JSON object a line") {
  const CliFixture fixture;
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"), {"restart=true", "max_steps=2"});
  const auto errors = [&](const std::string& option) {
    const CommandResult result = vitrine::testing::run("( " + line + " " + option + " 3>&1 1>/dev/null 2>&3 )");
    CHECK(result.exit_code == 0);
    return result.output;
  };
  CHECK(errors("--quiet").empty());
  std::istringstream lines(errors("--log-format json"));
  std::map<std::string, std::vector<nlohmann::json>> found;
  for (std::string one; std::getline(lines, one);) {
    CAPTURE(one);
    const auto json = nlohmann::json::parse(one, nullptr, false);
    REQUIRE(json.is_object());
    found[json.at("type")].push_back(json);
  }
  CHECK(found.at("note").size() > 3);
  CHECK(found.at("note").front().at("text").is_string());
  const nlohmann::json last = found.at("progress").back();
  CHECK(last.at("what") == "train");
  CHECK(last.at("unit") == "images");
  CHECK(last.at("done") == 8);
  CHECK(last.at("total") == 80);
  CHECK(last.at("finished") == true);
  CHECK(last.at("status").get<std::string>().starts_with("align, epoch 1 of 5, step 2 of 20, "));
  const CommandResult missing = vitrine::testing::run("( " + line + " --log-format json --set 'targets.cache=" +
                                                      (fixture.root / "none").string() + "' 3>&1 1>/dev/null 2>&3 )");
  CHECK(missing.exit_code == 2);
  const std::size_t begin = missing.output.rfind('\n', missing.output.size() - 2) + 1;  // npos + 1: the only line
  const auto error = nlohmann::json::parse(missing.output.substr(begin), nullptr, false);
  REQUIRE(error.is_object());
  CHECK(error.at("type") == "error");
  CHECK(error.at("program") == "vitrine-train");
  CHECK(error.at("exit_code") == 2);
  CHECK(error.at("path").get<std::string>().starts_with((fixture.root / "none").string()));
  CHECK(has(error.at("text").get<std::string>(), error.at("what").get<std::string>()));
  const CommandResult wrong = vitrine::testing::run(line + " --log-format xml");
  CHECK(wrong.exit_code == 2);
}

TEST_CASE("--dry-run checks and describes a run, and writes nothing") {
  const CliFixture fixture;
  const auto before = fixture.files("");
  const std::string line =
      fixture.command(fixture.options(TargetKind::kCache, "run"), {"validation=" + fixture.images.string()});
  const auto with_configuration = fixture.files("");
  const CommandResult result = vitrine::testing::run(line + " --dry-run");
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  for (const char* part :
       {"20 steps of 4 views", "images: 15 in 3 classes, 15 with a label", "targets: small.", "features.1",
        "align: steps 1 to 4, lr 0.01", "learns from features", "fine_tune: steps 17 to 20",
        "validation: 15 images; test: none", "memory: ", "run: dry run: everything fits, nothing was written"})
    CHECK_MESSAGE(has(result.output, part), part);
  CHECK((fixture.files("") == with_configuration));
  CHECK(before.size() + 1 == with_configuration.size());
  const CommandResult refused = vitrine::testing::run(line + " --dry-run --set batch=3");
  CHECK(refused.exit_code == 2);
  CHECK(has(refused.output, "batch = 3"));
}

TEST_CASE("--dry-run names the terms by their targets, a rate as the key has it, and how layers were chosen") {
  const TrainFixture fixture;
  const auto says = [&](const TrainOptions& options) {
    const CommandResult result = vitrine::testing::run(fixture.train_command(options, "--dry-run"));
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    return result.output;
  };
  fixture.make_cache({"taps.embedding=true", "taps.logits=false"});
  TrainOptions options = fixture.joint(TargetKind::kCache, "run");
  options.targets.features = options.targets.attention = "";
  options.targets.embedding = true;
  options.lr_batch = 1;
  options.schedule.joint.lr = 0.1;
  CHECK(has(says(options),
            "joint: steps 1 to 4, lr 0.1 to 0, which lr_batch makes 0.4 to 0, learns from embedding, labels\n"));

  options = fixture.joint(TargetKind::kTeacher, "run");
  options.size = 48;
  options.transformer.stage = 0;
  options.targets.features = "features.0, features.1";
  options.loss.exits_weight = 0.5;
  const std::string several = says(options);
  CHECK(has(several, "learns from output, exits, features, attention, labels\n"));
  CHECK(has(several,
            "features.0 meets the student at layer2, features.1 meets the student at layer4 (chosen by the "
            "blocks' depth; transformer.stages fixes them)\n"));
  const std::string by_size =
      " (chosen for size = 48; another size may take another layer, transformer.stage fixes it)\n";
  const std::size_t attention = several.find("attention.1 meets the student at layer");
  REQUIRE(attention != std::string::npos);
  CHECK(has(several.substr(attention, several.find('\n', attention) + 1 - attention), by_size));
  // As the stream limits itself: the teacher's pictures, of another size, are made too.
  const auto source = fixture.source(options);
  const StreamOptions stream = options.batch_options(48).stream();
  CHECK(stream.ahead == 6);
  const std::uint32_t groups = groups_ahead(stream, *source, available_memory());
  CHECK(has(several, "about " + human_bytes(static_cast<double>(groups * group_batch_bytes(*source, 48))) + " for " +
                         std::to_string(groups) + " groups in work"));

  options.targets.features = "features.1";
  const std::string one = says(options);
  CHECK_FALSE(has(one, "blocks' depth"));
  CHECK(has(one, by_size));
}

TEST_CASE("classes without a validation or test image are named before the first step") {
  const CliFixture fixture;
  std::filesystem::create_directories(fixture.root / "some");
  for (const char* name : {"ant", "cat"})
    std::filesystem::copy(fixture.images / name, fixture.root / "some" / name,
                          std::filesystem::copy_options::recursive);
  const std::string some = (fixture.root / "some").string();
  const std::string line =
      fixture.command(fixture.options(TargetKind::kCache, "run"), {"validation=" + some, "test=" + some});
  for (const char* way : {" --dry-run", " --set max_steps=1"}) {
    const CommandResult result = vitrine::testing::run(line + way);
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    for (const char* kind : {"validation", "test"})
      CHECK(has(result.output, std::string("1 of the student's 3 classes has no ") + kind +
                                   " image: bee; accuracy there says nothing about them\n"));
  }
}

TEST_CASE("the screen counts in English, and has shares with two digits") {
  const CliFixture fixture;
  REQUIRE(fixture.extract("cache", {"first_pass=2", "passes=1", "taps.features=[]", "taps.attention=[]"}).exit_code ==
          0);
  const CommandResult one = vitrine::testing::run(
      fixture.command(fixture.joint(TargetKind::kNone, "one"), {"targets.passes=1"}) + " --dry-run");
  CAPTURE(one.output);
  CHECK(one.exit_code == 0);
  CHECK(has(one.output, "; 1 pass of 16 views, so each view is seen once\n"));
  const CommandResult three =
      vitrine::testing::run(fixture.command(fixture.joint(TargetKind::kCache, "three", 3)) + " --dry-run");
  CAPTURE(three.output);
  CHECK(three.exit_code == 0);
  CHECK(has(three.output, "; 3 passes of 16 views, so each view is seen once\n"));
  CHECK(has(three.output, "since pass 2 lacks feature or attention maps; extract them for this pass too"));

  const CommandResult evaluated = vitrine::testing::run(fixture.command(
      fixture.joint(TargetKind::kCache, "evaluated"), {"validation=" + fixture.images.string(), "max_steps=4"}));
  CAPTURE(evaluated.output);
  CHECK(evaluated.exit_code == 0);
  CHECK(
      std::regex_search(evaluated.output, std::regex("epoch 1, joint: top-1 \\d+\\.\\d\\d %, top-5 \\d+\\.\\d\\d %")));
}

TEST_CASE("every stop signal while nothing is written yet exits with 130 and prints the command as it was") {
  const CliFixture fixture;
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"));
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(signal);
    const CommandResult stopped = vitrine::testing::run_with_pending(signal, line, fixture.root / "log.txt");
    CAPTURE(stopped.output);
    CHECK(stopped.exit_code == 130);
    CHECK(has(stopped.output, "; nothing was written\n"));
    CHECK_FALSE(std::filesystem::exists(fixture.root / "run"));
    CHECK_FALSE(has(command_that_goes_on(stopped.output), "--set"));
  }
}

TEST_CASE("the command that resumes a restart moves the earlier run aside exactly once") {
  const CliFixture fixture;
  REQUIRE(fixture.train({"max_steps=3"}).exit_code == 0);
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"), {"restart=true", "max_steps=1"});
  const CommandResult early = vitrine::testing::run_with_pending(SIGINT, line, fixture.root / "log.txt");
  CAPTURE(early.output);
  REQUIRE(early.exit_code == 130);
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run.old"));
  const CommandResult restarted = vitrine::testing::run(command_that_goes_on(early.output));
  CAPTURE(restarted.output);
  CHECK(has(restarted.output, "stopped after step 1 of 20"));
  CHECK(std::filesystem::exists(fixture.root / "run.old/checkpoints/checkpoint-3.safetensors"));
  const CommandResult ended = vitrine::testing::run(command_that_goes_on(restarted.output));
  CAPTURE(ended.output);
  CHECK(ended.exit_code == 0);
  CHECK(has(ended.output, "resuming after step 1 of 20"));
  CHECK_FALSE(std::filesystem::exists(fixture.root / "run.old.2"));
}

TEST_CASE("a checkpoint of either kind is evaluated: per class, calibration, and agreement with its teacher") {
  const CliFixture fixture;
  const std::string test = "test=" + fixture.images.string();
  const auto evaluated = [](const std::string& line, const std::string& checkpoint) {
    // Notes go to standard error.
    const CommandResult result =
        vitrine::testing::run("( " + line + " --evaluate '" + checkpoint + "' --json 2> /dev/null )");
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
    for (const char* name : {"run", "run/exported/last.safetensors", "run/checkpoints/checkpoint-20.safetensors"}) {
      const nlohmann::json json = evaluated(line, (fixture.root / name).string());
      check_sums(json);
      CHECK(json.at("top1") == summary.at("top1"));
      CHECK_FALSE(json.contains("teacher_agreement"));
    }
    const CommandResult table = vitrine::testing::run(line + " --evaluate '" + (fixture.root / "run").string() + "'");
    for (const char* part : {"ant", "bee", "cat", "top-1", "calibration error", "15 images"})
      CHECK(has(table.output, part));
    CHECK(table.output.find("left out") == std::string::npos);
    // Unreadable images are listed with kind and reason.
    vitrine::testing::write_whole(fixture.images / "bee/broken.jpg", "\xff\xd8\xff and then nothing");
    std::filesystem::create_directories(fixture.images / "__MACOSX");
    const CommandResult listed = vitrine::testing::run(line + " --evaluate '" + (fixture.root / "run").string() + "'");
    CHECK(has(listed.output, "left out: 1 damaged, 1 junk folder\n"));
    CHECK(has(listed.output, "  damaged: " + (fixture.images / "bee/broken.jpg").string() + ": "));
    const nlohmann::json left_out = evaluated(line, (fixture.root / "run").string()).at("left_out");
    REQUIRE(left_out.size() == 2);
    CHECK(left_out[1].at("kind") == "damaged");
    CHECK(left_out[1].at("path") == (fixture.images / "bee/broken.jpg").string());
    CHECK(has(left_out[1].at("reason").get<std::string>(), "cut short"));
    std::filesystem::remove(fixture.images / "bee/broken.jpg");
    const CommandResult wrong = vitrine::testing::run(line + " --evaluate '" + fixture.weights.string() + "'");
    CHECK(wrong.exit_code == 2);
    CHECK(has(wrong.output, "holds a ViT"));
  }
  SUBCASE("a ViT, which as its own teacher agrees with itself on every image") {
    TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
    options.model.kind = "vit";
    options.model.vit = TrainFixture::vit();
    const nlohmann::json json = evaluated(fixture.command(options, {test}), fixture.weights.string());
    check_sums(json);
    CHECK(json.at("teacher_agreement") == 1.0);
    const nlohmann::json unlabelled =
        evaluated(fixture.command(options, {test, "labels=none"}), fixture.weights.string());
    CHECK(unlabelled.at("images") == 15);
    CHECK(unlabelled.at("teacher_agreement") == 1.0);
    CHECK_FALSE(unlabelled.contains("top1"));
    CHECK_FALSE(unlabelled.contains("classes"));
    options.targets.teacher.weights.clear();
    const CommandResult nobody = vitrine::testing::run(fixture.command(options, {test, "labels=none"}) +
                                                       " --evaluate '" + fixture.weights.string() + "'");
    CHECK(nobody.exit_code == 2);
    CHECK(has(nobody.output, "only agreement with the teacher"));
  }
}

TEST_CASE("a warning says for how much of the run the feature term is off because passes lack features") {
  const CliFixture fixture;
  REQUIRE(fixture.extract("cache", {"first_pass=2", "passes=2", "taps.features=[]", "taps.attention=[]"}).exit_code ==
          0);
  // Four epochs take each of the four passes once.
  const CommandResult result =
      fixture.train({"schedule.align.epochs=0", "schedule.joint.epochs=4", "schedule.fine_tune.epochs=0"});
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output,
            "warning: the feature term is off in 8 of the 16 steps that ask for it (2 of 4 epochs), since the "
            "passes 2, 3 lack"));
  std::size_t without = 0;
  const auto log = read_log(fixture.options(TargetKind::kCache, "run"));
  for (const std::string& feature : log.at("feature")) without += feature.empty();
  CHECK(without == 8);
}

TEST_CASE("settings given by name override the weights' record, also with default values, and the report says so") {
  const CliFixture fixture;
  REQUIRE(fixture.train({"precision=bf16", "crop_pct=0.5", "max_steps=1"}).exit_code == 0);
  const auto evaluated = [&](const std::string& settings) {
    const std::string line = vitrine::testing::executable("vitrine-train") + settings + " --images '" +
                             fixture.images.string() + "' --evaluate '" + (fixture.root / "run").string() + "'";
    const CommandResult told = vitrine::testing::run(line);
    CAPTURE(told.output);
    REQUIRE(told.exit_code == 0);
    const CommandResult json = vitrine::testing::run("( " + line + " --json 2> /dev/null )");
    return std::pair(told.output, nlohmann::json::parse(json.output).at("precision").get<std::string>());
  };
  const auto [recorded, as_trained] = evaluated("");
  CHECK(as_trained == "bf16");
  CHECK(has(recorded, ", computed in bf16\n"));
  CHECK_FALSE(has(recorded, "was trained with"));
  const auto [chosen, as_chosen] = evaluated(" --set precision=fp32 --set crop_pct=0.9");
  CHECK(as_chosen == "fp32");
  CHECK(has(chosen, ", computed in fp32\n"));
  CHECK(has(chosen, "was trained with precision = bf16; evaluated with fp32, as configured"));
  CHECK(has(chosen, "was trained with crop_pct = 0.5; evaluated with 0.9, as configured"));
}

TEST_CASE("--evaluate without images or with a missing checkpoint is refused") {
  const CliFixture fixture;
  for (const std::string& config : {std::string(), " '" + (fixture.root / "train.toml").string() + "'"}) {
    fixture.command(fixture.options(TargetKind::kCache, "run"));  // writes train.toml
    fixture.check_refused(vitrine::testing::run(vitrine::testing::executable("vitrine-train") + config +
                                                " --set 'test=" + fixture.images.string() + "' --evaluate ''"),
                          {"--evaluate is empty; expected a .safetensors file or a run's directory"});
  }
  const std::string line = fixture.command(fixture.options(TargetKind::kCache, "run"));
  const CommandResult no_images = vitrine::testing::run(line + " --evaluate '" + fixture.weights.string() + "'");
  CHECK(no_images.exit_code == 2);
  CHECK(has(no_images.output, "no images to evaluate on; give them with --images DIR"));
  const CommandResult nothing = vitrine::testing::run(line + " --set 'test=" + fixture.images.string() +
                                                      "' --evaluate '" + (fixture.root / "images").string() + "'");
  CHECK(nothing.exit_code == 2);
  CHECK(has(nothing.output, "checkpoints/last.json"));
}

TEST_CASE("a cache of other images or another class order is refused, and the difference is named") {
  const CliFixture fixture;
  SUBCASE("a renamed class that changes the order") {
    std::filesystem::rename(fixture.images / "ant", fixture.images / "dog");
    fixture.check_refused(fixture.train(), {"class 0", "ant", "bee"});
  }
  SUBCASE("one class fewer") {
    std::filesystem::remove_all(fixture.images / "cat");
    fixture.check_refused(fixture.train(), {"3 classes", "2"});
  }
  SUBCASE("one image fewer") {
    std::filesystem::remove(fixture.images / "bee/2.jpg");
    fixture.check_refused(fixture.train(), {"15 images", "14"});
  }
  SUBCASE("an image with other contents") {
    std::filesystem::copy_file(fixture.images / "bee/3.jpg", fixture.images / "bee/2.jpg",
                               std::filesystem::copy_options::overwrite_existing);
    fixture.check_refused(fixture.train(), {"bee/2.jpg", "other contents"});
  }
}

TEST_CASE("bad settings exit with code 2 and one sentence") {
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
  SUBCASE("no output") {
    fixture.check_refused(fixture.train({"output="}), {"output is not given; expected a directory"});
  }
  SUBCASE("an output that is a file") {
    fixture.check_refused(fixture.train({"output=" + fixture.weights.string()}),
                          {"teacher.safetensors: is not a directory; choose another output"});
  }
  SUBCASE("a missing device of the agreement teacher, reported before images are read") {
    fixture.check_refused(
        fixture.train({"images=nowhere", "targets.teacher.device=gpu", "labels=none",
                       "validation=" + fixture.images.string(), "targets.teacher.weights=" + fixture.weights.string()}),
        {"unknown device \"gpu\""});
  }
  SUBCASE("a flat folder without labels for a cache of class folders") {
    std::filesystem::copy(fixture.images / "ant", fixture.root / "flat");
    fixture.check_refused(fixture.train({"images=" + (fixture.root / "flat").string(), "labels=none"}),
                          {"is a flat folder, but the cache", "was made from 3 class folders (ant, ...)"});
  }
  SUBCASE("a batch that does not divide the group") {
    fixture.check_refused(fixture.train({"batch=3"}), {"batch = 3", "8"});
  }
  SUBCASE("a mean that is not three colours") {
    fixture.check_refused(fixture.train({"mean=[0.5]"}), {"mean has 1 numbers", "three"});
  }
  SUBCASE("a batch larger than a pass") {
    fixture.check_refused(fixture.train({"batch=64"}), {"batch = 64", "16"});
  }
  SUBCASE("an align phase without features") {
    fixture.check_refused(fixture.train({"targets.features="}), {"schedule.align", "targets.features"});
  }
}

TEST_CASE("what an error gives as an instance of a key works for it") {
  vitrine::testing::check_instances<TrainOptions>();
}

TEST_CASE("the ImageNet configuration has only known keys, and a batch that fits the groups") {
  TrainOptions options;
  load_config(std::filesystem::path(std::getenv("VITRINE_SOURCE")) / "configs/imagenet-train.toml", {}, options);
  CHECK(options.targets.source == TargetKind::kCache);
  CHECK(options.batch % options.plan.group == 0);
  CHECK(options.schedule.run_epochs() == 26);
}
