// The sources of a run must agree: each difference is refused with both values and the word that allows it.
#include "train/run/provenance.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/hash.h"
#include "common/cache/cache.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/writer.h"
#include "common/config/config.h"
#include "tests/support/message.h"
#include "tests/train/fixture.h"
#include "train/run/checkpoint.h"
#include "train/run/evaluate_checkpoint.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_log;
using vitrine::testing::read_whole;
using vitrine::testing::summary_of;
using vitrine::testing::trained;
using vitrine::testing::TrainFixture;
using vitrine::testing::write_whole;

namespace {

const std::vector<std::string> kLogits{"taps.features=[]", "taps.attention=[]"};
const std::vector<std::string> kFeatures{"taps.logits=false", "taps.features=[1]", "taps.attention=[]"};

struct ProvenanceFixture : TrainFixture {
  std::filesystem::path other_weights = root / "other.safetensors";

  ProvenanceFixture() { save_teacher(other_weights, 3, 6); }

  void make(std::vector<std::string> settings, const std::vector<std::string>& more = {}) const {
    settings.insert(settings.end(), more.begin(), more.end());
    make_cache(settings);
  }
  /// Four steps with logits and features.1.
  TrainOptions run(const std::string& output, const std::string& allow = {}) const {
    TrainOptions out = joint(TargetKind::kCache, output);
    out.targets.attention = "";
    out.allow = allow;
    return out;
  }
};

// Checks that the error contains all `parts` and nothing was written, and that with `word` the run finishes and records
// what it allowed.
void check_refused_and_allowed(TrainOptions options, const std::string& word, const std::vector<std::string>& parts) {
  // Another word does not allow it.
  options.allow = word == "mixed" ? "teachers" : "mixed";
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  CHECK(has(refused, "--allow " + word));
  for (const std::string& part : parts) {
    CAPTURE(part);
    CHECK(has(refused, part));
  }
  options.allow = word;
  CHECK_NOTHROW(trained(options));
  const auto allowed = summary_of(options).at("allowed");
  REQUIRE(!allowed.empty());
  for (const auto& one : allowed) CHECK(one.at("word") == word);
  const std::string difference = allowed[0].at("difference");
  for (const std::string& part : parts) CHECK(has(difference, part));
}

}  // namespace

TEST_CASE("logits of one teacher with features of another are refused unless allowed") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures, {"teacher.name=other", "teacher.weights=" + fixture.other_weights.string()});
  const auto digits = [](const std::filesystem::path& weights) { return sha256_hex_of_file(weights).substr(0, 8); };
  const std::string ours = digits(fixture.weights), theirs = digits(fixture.other_weights);
  check_refused_and_allowed(
      fixture.run("run"), "teachers",
      {"weights_sha256", "small." + ours + "/logits is \"" + ours, "other." + theirs + "/features.1 \"" + theirs});
}

TEST_CASE("equal weights in two architectures are two teachers") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures, {"teacher.heads=4"});
  check_refused_and_allowed(fixture.run("run"), "teachers", {"architecture.head_dim", " is 8", " 4"});
}

TEST_CASE("tracks of teachers with different mean or std are refused unless allowed") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures, {"teacher.mean=[0.5, 0.5, 0.5]"});
  check_refused_and_allowed(fixture.run("run"), "preprocessing", {"mean", "[0.485,0.456,0.406]", "[0.5,0.5,0.5]"});
}

TEST_CASE("tracks, and shards of one track, of different arithmetic are refused unless allowed") {
  const ProvenanceFixture fixture;
  SUBCASE("tracks of two micro-batches") {
    fixture.make(kLogits);
    fixture.make(kFeatures, {"teacher.micro_batch=2"});
    check_refused_and_allowed(fixture.run("run"), "mixed", {"micro_batch", "/logits is 4", "/features.1 2"});
  }
  SUBCASE("tracks of two precisions") {
    fixture.make(kLogits);
    fixture.make(kFeatures, {"teacher.precision=bf16"});
    check_refused_and_allowed(fixture.run("run"), "mixed", {"precision", "\"fp32\"", "\"bf16\""});
  }
  SUBCASE("shards of one track, extracted with allow_mixed") {
    fixture.make({"passes=1"});
    fixture.make({"passes=2", "teacher.micro_batch=2", "allow_mixed=true"});
    check_refused_and_allowed(fixture.run("run"), "mixed",
                              {"micro_batch of 2 shards of ", "/logits is 2", "of 2 shards of ", "/logits 4"});
  }
}

TEST_CASE("tracks are compared by the arithmetic of their shards, not of track.json, and each field is named once") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures);
  const Cache cache(fixture.root / "cache");
  TrackInfo logits = cache.track("logits"), features = cache.track("features.1");
  Allowance nothing("");
  check_tracks(cache.directory(), {logits, features}, false, nothing);
  features.made_with.device = {.kind = "cuda", .name = "NVIDIA H200", .capability = "9.0"};
  check_tracks(cache.directory(), {logits, features}, false, nothing);
  CHECK(nothing.met().empty());
  features.teacher.mean = {0.1, 0.2, 1.0 / 3}, features.teacher.interpolation = "nearest";
  Allowance preprocessing("preprocessing");
  check_tracks(cache.directory(), {logits, features, features}, false, preprocessing);
  REQUIRE(preprocessing.met().size() == 2);
  CHECK(has(preprocessing.met()[0].difference, "[0.1,0.2,0.3333333333333333]"));
  CHECK(has(preprocessing.met()[1].difference, "interpolation of " + logits.directory() + " is \"bicubic\", of "));
}

TEST_CASE(
    "a teacher used for agreement that is not the cache's, or has another mean or std, is refused unless allowed") {
  const ProvenanceFixture fixture;
  fixture.make_cache();
  TrainOptions options = fixture.run("run");
  options.targets.teacher = fixture.options(TargetKind::kTeacher, "any").targets.teacher;
  options.validation = options.images;
  options.select = Select::kAgreement;
  SUBCASE("itself") {
    CHECK_NOTHROW(trained(options));
    CHECK_FALSE(summary_of(options).contains("allowed"));
  }
  SUBCASE("another") {
    options.targets.teacher.weights = fixture.other_weights.string();
    check_refused_and_allowed(options, "teachers",
                              {"targets.teacher", "weights_sha256", sha256_hex_of_file(fixture.weights).substr(0, 8),
                               sha256_hex_of_file(fixture.other_weights).substr(0, 8)});
  }
  SUBCASE("other colours") {
    options.targets.teacher.stddev = {0.5, 0.5, 0.5};
    check_refused_and_allowed(options, "preprocessing",
                              {"targets.teacher", "std", "[0.229,0.224,0.225]", "[0.5,0.5,0.5]"});
  }
  SUBCASE("another that is not used") {
    options.targets.teacher.weights = fixture.other_weights.string();
    options.select = Select::kTop1;
    CHECK_NOTHROW(trained(options));
  }
}

TEST_CASE("an evaluation asks the teacher with the preprocessing of its cache, as training does") {
  const ProvenanceFixture fixture;
  const std::vector<double> mean{0.9, 0.1, 0.8};
  fixture.make_cache({"teacher.mean=[0.9, 0.1, 0.8]", "teacher.crop_pct=0.4"});
  TrainOptions options = fixture.run("run");
  options.targets.teacher.weights = fixture.weights.string();  // the only key, also of its two heads
  options.validation = options.images;
  options.select = Select::kAgreement;
  trained(options);
  const double agreement = summary_of(options).at("validation_agreement");
  CHECK(*evaluate_checkpoint(options, options.output).agreement == doctest::Approx(agreement));

  Allowance nothing("");
  const TeacherOptions filled = evaluation_teacher(options.targets, nothing);
  CHECK(filled.mean == mean);
  CHECK(filled.crop_pct == 0.4);
  CHECK(filled.structure != nullptr);
  CHECK(filled.name == "small");
  // Another teacher, or a cache that is gone, says nothing.
  TargetOptions other = options.targets, gone = options.targets;
  other.teacher.weights = fixture.other_weights.string();
  gone.cache += "-moved";
  for (const TargetOptions& targets : {other, gone}) CHECK(evaluation_teacher(targets, nothing).mean.empty());
  // Its own keys are held against the cache's.
  options.targets.teacher.mean = {0.5, 0.5, 0.5};
  CHECK(has(message_of([&] { evaluate_checkpoint(options, options.output); }), "--allow preprocessing"));
}

TEST_CASE("allowed pictures that differ from the teacher's are counted once each, also across stops") {
  const ProvenanceFixture fixture;
  fixture.make_cache();
  {
    const Cache cache(fixture.root / "cache");
    std::vector<std::uint64_t> hashes;
    for (const std::uint32_t pass : {0u, 1u}) hashes.push_back(cache.picture_hash({pass, 0}));
    std::filesystem::remove_all(cache.directory() / "recipes");
    for (const std::uint32_t pass : {0u, 1u}) {
      write_recipes(cache.directory(), cache.plan(), pass, 0, {hashes[pass]});
      write_recipes(cache.directory(), cache.plan(), pass, 1, {0xabc});
    }
  }
  TrainOptions options = fixture.run("refused", "teachers");
  options.schedule.joint.epochs = 2;
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  for (const char* part : {"pass ", "group 1: the student's picture (hash ", " saw (abc)", "--allow pictures"})
    CHECK(has(refused, part));

  const auto check_counted = [](const TrainOptions& run) {
    const auto allowed = summary_of(run).at("allowed");
    REQUIRE(allowed.size() == 1);
    CHECK(allowed[0].at("word") == "pictures");
    CHECK(has(allowed[0].at("difference").get<std::string>(), "2 of 4 groups had a picture"));
  };
  options.allow = "pictures";
  options.output = (fixture.root / "whole").string();
  trained(options);
  check_counted(options);
  options.output = (fixture.root / "broken").string();
  for (const std::uint64_t stop_at : {1, 3, 4, 7, 0}) trained(options, stop_at);  // a group is two steps
  check_counted(options);

  // At another size pictures cannot be compared with the teacher's.
  TrainOptions smaller = fixture.run("smaller");
  smaller.size = 24;
  CHECK_NOTHROW(trained(smaller));
}

TEST_CASE("a run resumes on other tracks only when allowed, and records it in its summary") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures);
  TrainOptions options = fixture.run("run");
  options.max_steps = 1;
  trained(options);
  const std::filesystem::path last = fixture.root / "run/checkpoints/last.json";
  const auto again = [&](const std::vector<std::string>& which, const std::vector<std::string>& more) {
    for (const auto& entry : std::filesystem::directory_iterator(fixture.root / "cache"))
      if (entry.path().filename().string().starts_with("small."))
        std::filesystem::remove_all(entry.path() / (which == kLogits ? "logits" : "features.1"));
    fixture.make(which, more);
  };
  // Refused in these words, with nothing written; once allowed, not asked for again, and recorded.
  const auto check_allowed = [&](const std::vector<std::string>& words, const std::string& recorded) {
    const std::string before = read_whole(last), refused = message_of([&] { trained(options); });
    CAPTURE(refused);
    for (const std::string& part : words) CHECK(has(refused, part));
    CHECK(has(refused, "--allow tracks"));
    CHECK(read_whole(last) == before);
    options.allow = "tracks";
    CHECK_NOTHROW(trained(options, 2));
    options.allow = "";
    CHECK_NOTHROW(trained(options, 0));
    const auto allowed = summary_of(options).at("allowed");
    REQUIRE(allowed.size() == 1);
    CHECK(allowed[0].at("word") == "tracks");
    CHECK(has(allowed[0].at("difference").get<std::string>(), recorded));
  };
  SUBCASE("equal tracks, extracted again") {
    again(kLogits, {});
    again(kFeatures, {});
    CHECK_NOTHROW(trained(options, 0));
    CHECK_FALSE(summary_of(options).contains("allowed"));
  }
  SUBCASE("another error bound") {
    again(kLogits, {"taps.logits_error=0.5"});
    check_allowed({"run", "logits", "codec.max_error = 0.015625", "now 0.5"}, "codec.max_error = 0.015625");
  }
  SUBCASE("another encoding, with a new setting") {
    again(kLogits, {"taps.logits_encoding=fp32"});
    CHECK(has(message_of([&] { trained(options); }), "encoding = \"uniform\", which is now \"fp32\""));
  }
  SUBCASE("one of its tracks is gone") {
    for (const auto& entry : std::filesystem::directory_iterator(fixture.root / "cache"))
      if (entry.path().filename().string().starts_with("small.")) std::filesystem::remove_all(entry.path() / "logits");
    check_allowed({"run: ", "learnt from logits, which is gone"}, "logits, which is gone");
    CHECK(read_log(options).at("kl").back().empty());
  }
  SUBCASE("the second track, from another teacher of the same name") {
    again(kFeatures, {"teacher.weights=" + fixture.other_weights.string()});
    options.allow = "teachers";
    const std::string refused = message_of([&] { trained(options); });
    CHECK(has(refused, "features.1 with teacher.weights_sha256 = "));
    CHECK(has(refused, sha256_hex_of_file(fixture.weights)));
    CHECK(has(refused, sha256_hex_of_file(fixture.other_weights)));
  }
  SUBCASE("a checkpoint with invalid tracks") {
    auto json = nlohmann::ordered_json::parse(read_whole(last));
    json["tracks"]["logits"] = 3;
    write_whole(last, json.dump(2));
    CHECK(has(message_of([&] { trained(options); }), "last.json: is not a checkpoint of vitrine-train, or is damaged"));
  }
  SUBCASE("a checkpoint of an older version, which has no tracks") {
    auto json = nlohmann::ordered_json::parse(read_whole(last));
    for (const char* key : {"tracks", "allowed", "other_pictures"}) REQUIRE(json.erase(key) == 1);
    write_whole(last, json.dump(2));
    again(kLogits, {"taps.logits_error=0.5"});
    CHECK_NOTHROW(trained(options, 0));
    CHECK(summary_of(options).at("steps") == 4);
  }
}

TEST_CASE("a run that began without logits does not learn from new ones unless allowed") {
  const ProvenanceFixture fixture;
  fixture.make(kFeatures);
  TrainOptions options = fixture.run("run");
  trained(options, 1);
  CHECK(read_log(options).at("kl").back().empty());
  fixture.make(kLogits);
  const std::string refused = message_of([&] { trained(options, 2); });
  CAPTURE(refused);
  for (const char* part : {"run: ", "did not learn from logits, which is new", "--allow tracks"})
    CHECK(has(refused, part));
  options.allow = "tracks";
  CHECK_NOTHROW(trained(options, 2));
  options.allow = "";
  CHECK_NOTHROW(trained(options, 3));
  CHECK_FALSE(read_log(options).at("kl").back().empty());
}

TEST_CASE("a run resumes with other weights of its live teacher only when allowed") {
  const ProvenanceFixture fixture;
  TrainOptions options = fixture.options(TargetKind::kTeacher, "run");
  trained(options, 1);
  CHECK_NOTHROW(trained(options, 2));
  const std::string before = sha256_hex_of_file(fixture.weights);
  std::filesystem::copy_file(fixture.other_weights, fixture.weights, std::filesystem::copy_options::overwrite_existing);
  options.max_steps = 3;
  const std::string refused = message_of([&] { trained(options); });
  CAPTURE(refused);
  for (const std::string& part : {std::string("logits with teacher.weights_sha256 = "), before,
                                  sha256_hex_of_file(fixture.other_weights), std::string("--allow tracks")})
    CHECK(has(refused, part));
  options.allow = "tracks";
  CHECK_NOTHROW(trained(options));
}

TEST_CASE("a run resumes with other class names of its teacher only when allowed") {
  const ProvenanceFixture fixture;
  const std::vector<std::string> names{"cat", "ant", "bee"};
  TrainOptions options;
  const auto check_refused = [&](const std::string& part) {
    const std::string refused = message_of([&] { trained(options, 2); });
    CAPTURE(refused);
    CHECK(has(refused, part));
    CHECK(has(refused, "--allow tracks"));
  };
  SUBCASE("a live teacher's, whose weights are given without the file that has them") {
    const std::filesystem::path folder = fixture.root / "teacher";
    write_whole(folder / "config.json", R"({"pretrained_cfg": {"label_names": ["cat", "ant", "bee"]}})");
    std::filesystem::copy_file(fixture.weights, folder / "model.safetensors");
    options = fixture.logits_only(TargetKind::kTeacher, "run");
    options.targets.teacher.weights = folder.string();
    trained(options, 1);
    options.targets.teacher.weights = fixture.weights.string();
    check_refused("by name (cat, ...), and they are now taken in the order of the class folders");
    options.allow = "tracks";
    CHECK_NOTHROW(trained(options, 2));
  }
  SUBCASE("a cache's, which appear or change") {
    fixture.make(kLogits);
    options = fixture.logits_only(TargetKind::kCache, "run");
    trained(options, 1);
    const std::string logits = Cache(fixture.root / "cache").track("logits").directory();
    const std::string teacher = logits.substr(0, logits.find('/'));
    write_teacher_classes(fixture.root / "cache", teacher, names);
    check_refused("in the order of the class folders, and they are now matched by name: cat, ...");
    options.output += "-named";
    trained(options, 1);
    CHECK_NOTHROW(trained(options, 2));
    std::filesystem::remove(fixture.root / "cache" / teacher / kTeacherClassesFile);
    write_teacher_classes(fixture.root / "cache", teacher, {"cat", "bee", "ant"});
    check_refused("learnt with class 1 of the teacher = ant, which is now bee");
    // A checkpoint of an older version has no names.
    const std::filesystem::path last = std::filesystem::path(options.output) / "checkpoints/last.json";
    auto json = nlohmann::ordered_json::parse(read_whole(last));
    REQUIRE(json.erase("class_names") == 1);
    write_whole(last, json.dump(2));
    CHECK_NOTHROW(trained(options, 3));
  }
}

TEST_CASE("words are accepted from the configuration and the command line; an unknown one is refused with the list") {
  const ProvenanceFixture fixture;
  fixture.make(kLogits);
  fixture.make(kFeatures, {"teacher.mean=[0.5, 0.5, 0.5]", "teacher.micro_batch=2"});
  const auto command = [&](const std::string& in_file, const std::string& flags) {
    return vitrine::testing::run(fixture.train_command(fixture.run("run", in_file), flags));
  };
  const auto check_refused = [&](const CommandResult& result, const std::vector<std::string>& parts) {
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK_FALSE(std::filesystem::exists(fixture.root / "run"));
    for (const std::string& part : parts) CHECK(has(result.output, part));
  };
  const std::string list = "teachers, preprocessing, mixed, pictures, tracks, chance";
  check_refused(command("", "--allow mixed,anything"), {"\"anything\"", list});
  check_refused(command("Mixed", ""), {"\"Mixed\"", list});
  check_refused(command("module", ""), {"module can only be given on the command line, as --allow module"});
  check_refused(command("", "--allow"), {"--allow"});
  check_refused(command("", "--allow preprocessing"), {"--allow mixed", "continuing, since allow has preprocessing"});
  check_refused(command("mixed", ""), {"--allow preprocessing"});
  for (const auto& [in_file, flags] : {std::pair("", "--allow preprocessing,mixed"),
                                       {"mixed", "--allow preprocessing --allow mixed"},
                                       {"", "--set allow=preprocessing,mixed"}}) {
    CAPTURE(in_file);
    CAPTURE(flags);
    const CommandResult result = command(in_file, flags);
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    const auto summary = nlohmann::json::parse(read_whole(fixture.root / "run/summary.json"));
    REQUIRE(summary.at("allowed").size() == 2);
    CHECK(summary.at("allowed")[0].at("word") == "preprocessing");
    CHECK(summary.at("allowed")[1].at("word") == "mixed");
    std::filesystem::remove_all(fixture.root / "run");  // else it is finished
  }
}
