// vitrine-cache on a small real extraction: verify --deep, estimate, and repair followed by its commands.
#include <ATen/ATen.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/writer.h"
#include "common/image/scan.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"
#include "tools/commands/cache/estimate_report.h"
#include "tools/commands/cache/teacher/estimate_images.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::string argument(const std::filesystem::path& path) {
  return " '" + path.string() + "'";
}

std::string deep(const ExtractFixture& fixture, const std::filesystem::path& weights) {
  return executable("vitrine-cache") + " verify" + argument(fixture.root / "cache") + " --deep 9 --images" +
         argument(fixture.images) + " --weights" + argument(weights);
}

// Runs a command printed by repair, with the fixture's configuration.
CommandResult run_named(std::string command, const ExtractFixture& fixture) {
  command.replace(command.find("CONFIG.toml"), std::string("CONFIG.toml").size(), argument(fixture.config));
  command.replace(0, std::string("vitrine-extract").size(), executable("vitrine-extract"));
  return run(command);
}

// Rewrites every shard of a track with settings and values modified by `change`: valid files, without shards.json.
template <class Change>
void rewrite(const std::filesystem::path& directory, const std::string& name, const Change& change) {
  const Cache cache(directory);
  const TrackReader reader(cache, cache.track(name));
  TrackInfo track = reader.track();
  TrackReader::Scratch scratch;
  const std::uint32_t views = cache.plan().options().group;
  std::vector<float> values(track.view_values() * views);
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t shard = 0; shard < 2; ++shard) {  // of one group each
      reader.read({pass, shard}, scratch, values);
      change(track, values);
      const std::vector<std::vector<Array>> groups{reader.codec().encode(values, views)};
      std::filesystem::remove(directory / track.directory() /
                              shard_file_name(std::uint64_t{pass} * cache.plan().shards_per_pass() + shard));
      write_shard(directory, track, cache.plan(), pass, shard, groups);
    }
  write_whole(directory / track.directory() / "track.json", track.file_text());
  std::filesystem::remove(directory / track.directory() / kManifestName);
}

// Makes the fixture's teacher attend to some positions more than to others: its random weights give nearly uniform
// maps, which 8 bits store as their mean.
void sharpen(const ExtractFixture& fixture) {
  Tensors weights = load_safetensors(fixture.weights);
  for (auto& [name, tensor] : weights)
    if (name.ends_with("attn.qkv.weight")) tensor = tensor * 20;
  save_safetensors(fixture.weights, weights);
}

void take_mean(const TrackInfo&, std::vector<float>& values) {
  double mean = 0;
  for (const float x : values) mean += x / static_cast<double>(values.size());
  std::ranges::fill(values, static_cast<float>(mean));
}

nlohmann::json json_of(const std::string& command, int exit_code) {
  const CommandResult result = run("( " + command + " --json 2> /dev/null )");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == exit_code);
  return nlohmann::json::parse(result.output);
}

}  // namespace

TEST_CASE("running the teacher again gives the cache's values, bit-equal on the same machine") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const auto json = json_of(deep(fixture, fixture.weights), 0);
  REQUIRE(json["deep"].size() == 4);  // logits, two blocks of features, attention
  for (const auto& track : json["deep"]) {
    CAPTURE(track.dump());
    CHECK(track["groups"] == 2);  // 9 views are two groups of 8
    CHECK(track["identical_groups"] == 2);
    CHECK(track["beyond"] == false);
    CHECK(track["verdict"] == "within");
    CHECK(track["worst_error"].get<double>() > 0);  // compared with values that went through no codec
    CHECK(track["worst_error"].get<double>() < track["bound"].get<double>());
    CHECK(track["difference"] == 0);
  }
  const CommandResult words = run(deep(fixture, fixture.weights) + " --track logits");
  CHECK(words.exit_code == 0);
  CHECK(has(words.output, "2 of 2"));
  CHECK(words.output.find("features") == std::string::npos);
}

TEST_CASE("valid files with targets that the teacher does not give are found") {
  const ExtractFixture fixture;
  sharpen(fixture);
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path directory = fixture.root / "cache";
  rewrite(directory, "logits", [](const TrackInfo&, std::vector<float>& values) { std::ranges::fill(values, 0.f); });
  rewrite(directory, "attention.1", take_mean);
  CHECK(run(executable("vitrine-cache") + " verify" + argument(directory)).exit_code == 0);
  const auto json = json_of(deep(fixture, fixture.weights), 1);
  for (const auto& track : json["deep"]) {
    CAPTURE(track.dump());
    CHECK(track["beyond"] == (track["track"].get<std::string>().find("features") == std::string::npos));
    CHECK(track["verdict"] == (track["beyond"] ? "beyond" : "within"));
    CHECK(track.contains("why") == track["beyond"].get<bool>());
  }
}

TEST_CASE("recoded tracks are checked against the combination of their codecs") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path to = fixture.root / "to";
  const auto recode = [&](const std::string& track, const std::string& encoding) {
    const CommandResult result = run(executable("vitrine-cache") + " recode" + argument(fixture.root / "cache") +
                                     " --from " + track + " --to" + argument(to) + " --encoding " + encoding);
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
  };
  recode("features.1", "fp16");
  recode("logits", "int8");
  recode("attention.1", "fp32");
  const std::string command = executable("vitrine-cache") + " verify" + argument(to) + " --deep 9 --images" +
                              argument(fixture.images) + " --weights" + argument(fixture.weights);
  const nlohmann::json healthy = json_of(command, 0);
  REQUIRE(healthy["deep"].size() == 3);
  for (const auto& track : healthy["deep"]) {
    CAPTURE(track.dump());
    CHECK(track["verdict"] == "within");
    // The basis of the transform stayed with the source; the other codecs can be reconstructed.
    const bool transformed = track["track"].get<std::string>().ends_with("features.1");
    CHECK(track["identical_groups"] == (transformed ? 0 : 2));
    CHECK(track.contains("tolerance") == !transformed);
    if (transformed) CHECK(track["bound"].get<double>() > 0.01);
    if (transformed) CHECK(track["bound"].get<double>() < 0.05);
  }
  rewrite(to, "features.1", take_mean);
  const nlohmann::json damaged = json_of(command, 1);
  REQUIRE(damaged["deep"].size() == 3);
  for (const auto& track : damaged["deep"])
    CHECK(track["beyond"] == track["track"].get<std::string>().ends_with("features.1"));

  // Recoded from an encoding of a newer version: compared, without a verdict.
  rewrite(to, "logits", [](TrackInfo& track, std::vector<float>&) {
    track.recoded_from = {{.unknown = R"({"encoding":"wavelets"})"}};
  });
  const CommandResult words = run(command + " --track logits");
  CAPTURE(words.output);
  CHECK(words.exit_code == 0);
  CHECK(has(words.output, "no verdict"));
  CHECK(has(words.output, "does not know: {\"encoding\":\"wavelets\"}"));
}

TEST_CASE("a step with many digits is checked exactly, through two recodings") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", {"taps.logits_encoding=fp32", "taps.features=[]", "taps.attention=[]"}).exit_code ==
          0);
  const auto recode = [&](const std::string& from, const std::string& to, const std::string& encoding) {
    const CommandResult result = run(executable("vitrine-cache") + " recode" + argument(fixture.root / from) +
                                     " --from logits --to" + argument(fixture.root / to) + " --encoding " + encoding);
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
  };
  recode("cache", "stepped", "uniform --max-error 0.0123456789");
  recode("stepped", "exact", "fp32");
  const nlohmann::json json =
      json_of(executable("vitrine-cache") + " verify" + argument(fixture.root / "exact") + " --deep 9 --images" +
                  argument(fixture.images) + " --weights" + argument(fixture.weights),
              0);
  REQUIRE(json["deep"].size() == 1);
  CHECK(json["deep"][0]["verdict"] == "within");
  // With a step of six digits, values of some hundred steps would differ in their last bits.
  CHECK(json["deep"][0]["identical_groups"] == 2);
  CHECK(json["deep"][0]["difference"] == 0);
}

TEST_CASE("damaged groups are skipped by --deep, with a message") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path directory = fixture.root / "cache";
  const auto directory_of = [&](const std::string& name) { return Cache(directory).track(name).directory(); };
  const std::string logits = directory_of("logits"), features = directory_of("features.0"),
                    attention = directory_of("attention.1");
  const auto damage = [&](const std::string& file) {
    std::string bytes = read_whole(directory / file);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_whole(directory / file, bytes);
  };
  write_whole(directory / logits / kManifestName, "[]");
  damage(logits + "/00000.h5");
  damage(features + "/basis.h5");
  write_whole(directory / attention / "track.json", "{");
  const auto json = json_of(deep(fixture, fixture.weights), 1);
  REQUIRE(json["deep"].size() == 4);
  for (const auto& track : json["deep"]) {
    CAPTURE(track.dump());
    const bool unfit = track["track"] == features || track["track"] == attention;
    CHECK(track["verdict"] == (unfit ? "not run" : "within"));
    CHECK(track["groups"] == (unfit ? 0 : 2));
    if (unfit) CHECK(!track["why"].get<std::string>().empty());
  }
  CommandResult words = run(deep(fixture, fixture.weights));
  CHECK(words.exit_code == 1);
  CHECK(has(words.output, "deep: " + attention + ": not run, because track.json "));

  write_whole(directory / "plan.json", "{}");
  words = run(deep(fixture, fixture.weights));
  CHECK(words.exit_code == 1);
  CHECK(has(words.output, "deep: not run, because plan.json "));
  CHECK(json_of(deep(fixture, fixture.weights), 1)["deep_not_run"].get<std::string>().starts_with("plan.json "));
}

TEST_CASE("other weights, other images and missing arguments of --deep are refused") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  std::filesystem::path other = fixture.root / "other.safetensors";
  std::string bytes = read_whole(fixture.weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_whole(other, bytes);
  const CommandResult weights = run(deep(fixture, other));
  CHECK(weights.exit_code == 2);
  CHECK(has(weights.output, "SHA-256"));
  const std::string verify = executable("vitrine-cache") + " verify" + argument(fixture.root / "cache");
  CHECK(run(verify + " --deep 4").exit_code == 2);
  const std::string with = " --images" + argument(fixture.images) + " --weights" + argument(fixture.weights);
  for (const char* views : {"-1", "0", "18446744073709551615", "nine"}) {
    const CommandResult range = run(verify + with + " --deep " + views);
    CAPTURE(range.output);
    CHECK(range.exit_code == 2);
    CHECK(has(range.output, "--deep"));
    CHECK(has(range.output, views));
  }
  CHECK(run(verify + " --weights" + argument(fixture.weights)).exit_code == 2);
}

TEST_CASE("repair and the command it prints restore the original bytes") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", {"taps.embedding=true"}).exit_code == 0);
  const auto before = fixture.files("cache");
  const auto damage = [&](const std::string& file) {
    const std::filesystem::path path = fixture.root / "cache" / file;
    std::string bytes = read_whole(path);
    bytes[bytes.size() / 2] = static_cast<char>(bytes[bytes.size() / 2] ^ 1);
    write_whole(path, bytes);
  };
  std::vector<std::string> damaged;
  for (const auto& [name, bytes] : before)
    if (name.ends_with("00001.h5") || name.ends_with("features.1/track.json")) damaged.push_back(name);
  REQUIRE(damaged.size() == 7);  // recipes, five tracks, a track.json
  for (const std::string& name : damaged) damage(name);
  const auto json = json_of(executable("vitrine-cache") + " repair" + argument(fixture.root / "cache"), 1);
  CHECK(json["set_aside"].size() == damaged.size());
  CHECK(json["restored"].size() == 1);
  REQUIRE(json["commands"].size() == 1);
  REQUIRE(run_named(json["commands"][0], fixture).exit_code == 0);
  auto now = fixture.files("cache");
  for (const auto& [file, name] : json["set_aside"].items()) CHECK(now.erase(name) == 1);
  CHECK((now == before));
}

TEST_CASE("repair's commands make only what was there before: each track in its own passes") {
  const ExtractFixture fixture;
  const std::vector<std::string> logits{"taps.features=[]", "taps.attention=[]"};
  const auto pass = [&](int number, std::vector<std::string> settings) {
    settings.push_back("first_pass=" + std::to_string(number));
    settings.push_back("passes=1");
    return fixture.extract("cache", settings).exit_code;
  };
  REQUIRE(pass(0, {}) == 0);
  for (const int number : {1, 2, 4}) REQUIRE(pass(number, logits) == 0);
  const auto before = fixture.files("cache");
  std::vector<std::string> lost;
  for (const auto& [name, bytes] : before)
    if (name.ends_with("features.1/00000.h5") || name.ends_with("attention.1/00001.h5") ||
        name.ends_with("logits/00003.h5") || name.ends_with("logits/00005.h5") || name == "recipes/00008.h5")
      lost.push_back(name);
  REQUIRE(lost.size() == 5);
  for (const std::string& name : lost) write_whole(fixture.root / "cache" / name, "damaged");
  const auto json = json_of(executable("vitrine-cache") + " repair" + argument(fixture.root / "cache"), 1);
  const std::vector<std::string> commands = json["commands"];
  REQUIRE(commands.size() == 3);
  const auto says = [&](std::size_t i, const std::string& words) {
    CAPTURE(commands[i]);
    CHECK(commands[i].ends_with(words));
  };
  const auto taps = [](const char* kept, const char* blocks) {
    return text("--set taps.logits=", kept, " --set taps.embedding=false --set 'taps.features=[", blocks,
                "]' --set 'taps.attention=[", blocks, "]'");
  };
  says(0, "first_pass=0 --set passes=1 " + taps("false", "1"));
  says(1, "first_pass=1 --set passes=2 " + taps("true", ""));
  says(2, "first_pass=4 --set passes=1 " + taps("true", ""));
  for (const std::string& command : commands) REQUIRE(run_named(command, fixture).exit_code == 0);
  auto now = fixture.files("cache");
  CHECK(json["set_aside"].size() == lost.size());
  for (const auto& [file, name] : json["set_aside"].items()) CHECK(now.erase(name) == 1);
  CHECK((now == before));
}

TEST_CASE("estimate predicts the actual bytes, leaves no files, and its figures add up") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path scratch = fixture.root / "scratch";
  std::filesystem::create_directories(scratch);
  const std::string command = executable("vitrine-cache") + " estimate" + argument(fixture.config) +
                              " --set passes=10" + " --epochs 5 --scratch" + argument(scratch);
  const auto json = json_of(command, 0);
  CHECK(std::filesystem::is_empty(scratch));
  CHECK(json["views"] == 160);  // 15 images are two groups of 8
  CHECK(json["sampled_views"] == 16);
  CHECK(json["images"] == 15);
  CHECK(json["images_counted_by"] == "listing");
  CHECK(json["images_read"] == 15);
  REQUIRE(json["tracks"].size() == 4);
  double bytes = json["recipes"]["bytes"].get<double>() + json["index_and_bases_bytes"].get<double>();
  for (const auto& track : json["tracks"]) {
    CHECK(track["bytes_per_view"].get<double>() > 0);
    bytes += track["bytes"].get<double>();
  }
  CHECK(json["bytes"].get<double>() == doctest::Approx(bytes));
  // In truth: two passes of 16 views; the sample is one pass.
  double targets = 0, recipes = 0, rest = 0;
  for (const auto& [name, file] : fixture.files("cache")) {
    if (name.ends_with(kManifestName)) continue;
    const bool once = name == "index.h5" || name.ends_with("/basis.h5") || name.ends_with(".json");
    (once ? rest : name.starts_with("recipes/") ? recipes : targets) += static_cast<double>(file.size());
  }
  CHECK(json["bytes_per_view"].get<double>() == doctest::Approx((targets + recipes) / 32).epsilon(0.1));
  CHECK(json["recipes"]["bytes_per_view"].get<double>() == doctest::Approx(recipes / 32).epsilon(0.1));
  CHECK(json["index_and_bases_bytes"].get<double>() == doctest::Approx(rest).epsilon(0.05));
  const auto& seconds = json["seconds_per_view"];
  // The fixture stores transformed features, so a basis is calibrated first, on all 16 views of a pass.
  const double calibration = json["calibration_seconds"];
  CHECK(calibration >= 16 * (seconds["teacher"].get<double>() + seconds["decode"].get<double>()) * (1 - 1e-9));
  CHECK(json["hours"].get<double>() ==
        doctest::Approx((calibration + seconds["extraction"].get<double>() * 160) / 3600));
  const auto epochs = break_even_epochs({.extraction = seconds["extraction"],
                                         .read = seconds["read"],
                                         .live = seconds["teacher"],
                                         .calibration = calibration / 16},
                                        10);
  if (epochs)
    CHECK(json["break_even_epochs"].get<double>() == doctest::Approx(*epochs));
  else
    CHECK(json["break_even_epochs"].is_null());

  const CommandResult words = run(command);
  CHECK(words.exit_code == 0);
  CHECK(has(words.output, "break-even: "));
  CHECK(has(words.output, "15 images by listing the folders; 15 of them were read"));
  const auto known = json_of(command + " --groups 1 --set cache=" + (fixture.root / "cache").string(), 0);
  CHECK(known["images_counted_by"] == "index");
  CHECK(known["images"] == 15);
  CHECK(known["images_read"] == 8);
  CHECK(known["views"] == 160);
  CHECK(run(executable("vitrine-cache") + " estimate" + argument(fixture.root / "none.toml")).exit_code == 2);
  CHECK(run(command + " --set images=/nowhere").exit_code == 2);
}

TEST_CASE("an estimate leaves out a picture that is damaged inside, as the extraction does") {
  const ExtractFixture fixture;
  const std::filesystem::path file = fixture.images / "bee" / "2.jpg";
  const std::string sound = read_whole(file), command = executable("vitrine-cache") + " estimate" +
                                                        argument(fixture.config) + " --json --groups 2" + " --set" +
                                                        argument("cache=" + (fixture.root / "cache").string());
  const auto estimated = [&](const std::string& more) {
    const CommandResult result = run("( " + command + more + " 2> /dev/null )");
    CAPTURE(result.output);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.output);
  };
  write_whole(file, damaged_png());
  const auto fresh = estimated("");
  CHECK(fresh["images"] == 14);
  CHECK(fresh["files_unreadable"] == 1);
  // One of a cache's index that was damaged since, where the extraction skips it.
  write_whole(file, sound);
  REQUIRE(fixture.extract("cache").exit_code == 0);
  write_whole(file, damaged_png());
  CHECK(estimated(" --set bad_images=skip")["images"] == 15);
}

TEST_CASE("an estimate counts all images and reads only its sample") {
  const ExtractFixture fixture;
  const ImageIndex whole = scan_image_folder(fixture.images, nullptr);
  write_whole(fixture.images / "bee" / "notes.txt", "not an image");
  const auto read = [&](const ImageIndex& index) {
    std::size_t count = 0;
    for (const ImageEntry& entry : index.images) count += std::ranges::find(whole.images, entry) != whole.images.end();
    return count;
  };
  const EstimateImages all = estimate_images(fixture.images, {}, {}, 100, 3);
  CHECK(*all.sample == whole);
  CHECK(*all.all == whole);
  CHECK(all.unreadable == 1);
  CHECK(!all.indexed);

  const EstimateImages some = estimate_images(fixture.images, {}, {}, 4, 3);
  CHECK(some.sample->images.size() == 4);
  CHECK(read(*some.sample) == 4);
  CHECK(read(*some.all) == 4);  // the others are estimated
  CHECK(some.all->classes == whole.classes);
  CHECK(some.all->images.size() >= 12);
  CHECK(some.all->images.size() <= 16);
  for (const ImageEntry& entry : some.all->images) CHECK(entry.height * entry.width > 0);

  REQUIRE(fixture.extract("cache").exit_code == 0);
  const EstimateImages known = estimate_images("/nowhere", {}, fixture.root / "cache", 4, 3);
  CHECK(known.indexed);
  CHECK(*known.all == whole);
  CHECK(read(*known.sample) == 4);

  const std::filesystem::path empty = fixture.root / "empty";
  for (const char* name : {"a", "b"}) write_whole(empty / name / "notes.txt", "not an image");
  CHECK_THROWS_AS(estimate_images(empty, {}, {}, 4, 3), Error);
}

TEST_CASE("the break-even is where both costs are equal, or never") {
  // Two passes at 5 s a view, then 1 s an epoch against 3 s: 10 + n = 3 n.
  CHECK(*break_even_epochs({.extraction = 5, .read = 1, .live = 3}, 2) == doctest::Approx(5));
  // Calibration that takes 4 s for each view of a pass: 4 + 10 + n = 3 n.
  CHECK(*break_even_epochs({.extraction = 5, .read = 1, .live = 3, .calibration = 4}, 2) == doctest::Approx(7));
  CHECK(!break_even_epochs({.extraction = 5, .read = 3, .live = 3}, 2));
  CHECK(!break_even_epochs({.extraction = 5, .read = 4, .live = 3}, 2));
}
