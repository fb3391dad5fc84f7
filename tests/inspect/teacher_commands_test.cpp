// vitrine-cache with a real, small extraction: verify --deep, estimate, and repair with what follows it.
#include <torch/torch.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/manifest.h"
#include "common/cache/writer.h"
#include "common/image/scan.h"
#include "common/inspect/break_even.h"
#include "tests/extract/fixture.h"
#include "tools/commands/cache/teacher/estimate_images.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::string quoted(const std::filesystem::path& path) {
  return " '" + path.string() + "'";
}

std::string deep(const ExtractFixture& fixture, const std::filesystem::path& weights) {
  return executable("vitrine-cache") + " verify" + quoted(fixture.root / "cache") + " --deep 9 --images" +
         quoted(fixture.images) + " --weights" + quoted(weights);
}

// A command that repair names, with the fixture's configuration.
CommandResult run_named(std::string command, const ExtractFixture& fixture) {
  command.replace(command.find("CONFIG.toml"), std::string("CONFIG.toml").size(), quoted(fixture.config));
  command.replace(0, std::string("vitrine-extract").size(), executable("vitrine-extract"));
  return run(command);
}

nlohmann::json json_of(const std::string& command, int exit_code) {
  const CommandResult result = run("( " + command + " --json 2> /dev/null )");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == exit_code);
  return nlohmann::json::parse(result.output);
}

}  // namespace

TEST_CASE("the teacher asked again gives what the cache holds, bit for bit on the same machine") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const auto json = json_of(deep(fixture, fixture.weights), 0);
  REQUIRE(json["deep"].size() == 4);  // logits, two blocks of features, attention
  for (const auto& track : json["deep"]) {
    CAPTURE(track.dump());
    CHECK(track["groups"] == 2);  // 9 views are two groups of 8
    CHECK(track["identical_groups"] == 2);
    CHECK(track["beyond"] == false);
    CHECK(track["worst_error"].get<double>() > 0);  // against values that no codec has seen
    CHECK(track["worst_error"].get<double>() < track["bound"].get<double>());
  }
  const CommandResult words = run(deep(fixture, fixture.weights) + " --track logits");
  CHECK(words.exit_code == 0);
  CHECK(words.output.find("2 of 2") != std::string::npos);
  CHECK(words.output.find("features") == std::string::npos);
}

TEST_CASE("whole files with targets that the teacher does not give are found") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path directory = fixture.root / "cache";
  {
    const Cache cache(directory);
    const TrackInfo& track = cache.track("logits");
    const std::vector<float> zeros(track.view_values() * 8, 0.f);
    const std::vector<std::vector<Array>> groups{make_codec(track.codec, track.shape)->encode(zeros, 8)};
    for (std::uint32_t pass = 0; pass < 2; ++pass)
      for (std::uint32_t shard = 0; shard < 2; ++shard)
        write_shard(directory, track, cache.plan(), pass, shard, groups);
    std::filesystem::remove(directory / track.directory() / kManifestName);
  }
  CHECK(run(executable("vitrine-cache") + " verify" + quoted(directory)).exit_code == 0);
  const auto json = json_of(deep(fixture, fixture.weights), 1);
  for (const auto& track : json["deep"])
    CHECK(track["beyond"] == track["track"].get<std::string>().ends_with("/logits"));
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
  CHECK(weights.output.find("SHA-256") != std::string::npos);
  const std::string verify = executable("vitrine-cache") + " verify" + quoted(fixture.root / "cache");
  CHECK(run(verify + " --deep 4").exit_code == 2);
  CHECK(run(verify + " --weights" + quoted(fixture.weights)).exit_code == 2);
}

TEST_CASE("repair, then the command it names, gives the first bytes again") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
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
  REQUIRE(damaged.size() == 6);  // recipes, four tracks, a track.json
  for (const std::string& name : damaged) damage(name);
  const auto json = json_of(executable("vitrine-cache") + " repair" + quoted(fixture.root / "cache"), 1);
  CHECK(json["removed"].size() == damaged.size() - 1);
  CHECK(json["restored"].size() == 1);
  REQUIRE(json["commands"].size() == 1);
  REQUIRE(run_named(json["commands"][0], fixture).exit_code == 0);
  CHECK((fixture.files("cache") == before));
}

TEST_CASE("repair's commands make nothing that was not there: each track in its own passes") {
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
  const auto json = json_of(executable("vitrine-cache") + " repair" + quoted(fixture.root / "cache"), 1);
  const std::vector<std::string> commands = json["commands"];
  REQUIRE(commands.size() == 3);
  const auto says = [&](std::size_t i, const std::string& words) {
    CAPTURE(commands[i]);
    CHECK(commands[i].ends_with(words));
  };
  says(0, "first_pass=0 --set passes=1 --set taps.logits=false --set 'taps.features=[1]' --set 'taps.attention=[1]'");
  says(1, "first_pass=1 --set passes=2 --set taps.logits=true --set 'taps.features=[]' --set 'taps.attention=[]'");
  says(2, "first_pass=4 --set passes=1 --set taps.logits=true --set 'taps.features=[]' --set 'taps.attention=[]'");
  for (const std::string& command : commands) REQUIRE(run_named(command, fixture).exit_code == 0);
  CHECK((fixture.files("cache") == before));
}

TEST_CASE("estimate tells bytes as they come out, leaves no file behind, and adds up") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const std::filesystem::path scratch = fixture.root / "scratch";
  std::filesystem::create_directories(scratch);
  const std::string command = executable("vitrine-cache") + " estimate" + quoted(fixture.config) + " --set passes=10" +
                              " --epochs 5 --scratch" + quoted(scratch);
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
  // Really: two passes of 16 views, of which the sample is one.
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
  // The fixture keeps transformed features, so a basis is made first, of all 16 views of a pass.
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
  CHECK(words.output.find("break-even: ") != std::string::npos);
  CHECK(words.output.find("15 images by listing the folders; 15 of them were read") != std::string::npos);
  const auto known = json_of(command + " --groups 1 --set cache=" + (fixture.root / "cache").string(), 0);
  CHECK(known["images_counted_by"] == "index");
  CHECK(known["images"] == 15);
  CHECK(known["images_read"] == 8);
  CHECK(known["views"] == 160);
  CHECK(run(executable("vitrine-cache") + " estimate" + quoted(fixture.root / "none.toml")).exit_code == 2);
  CHECK(run(command + " --set images=/nowhere").exit_code == 2);
}

TEST_CASE("an estimate counts all images and reads those of its sample") {
  const ExtractFixture fixture;
  const ImageIndex whole = scan_image_folder(fixture.images, nullptr);
  write_whole(fixture.images / "bee" / "notes.txt", "not an image");
  const auto read = [&](const ImageIndex& index) {
    std::size_t count = 0;
    for (const ImageEntry& entry : index.images) count += std::ranges::find(whole.images, entry) != whole.images.end();
    return count;
  };
  const EstimateImages all = estimate_images(fixture.images, {}, 100, 3);
  CHECK(*all.sample == whole);
  CHECK(*all.all == whole);
  CHECK(all.unreadable == 1);
  CHECK(!all.indexed);

  const EstimateImages some = estimate_images(fixture.images, {}, 4, 3);
  CHECK(some.sample->images.size() == 4);
  CHECK(read(*some.sample) == 4);
  CHECK(read(*some.all) == 4);  // the others are guessed
  CHECK(some.all->classes == whole.classes);
  CHECK(some.all->images.size() >= 12);
  CHECK(some.all->images.size() <= 16);
  for (const ImageEntry& entry : some.all->images) CHECK(entry.height * entry.width > 0);

  REQUIRE(fixture.extract("cache").exit_code == 0);
  const EstimateImages known = estimate_images("/nowhere", fixture.root / "cache", 4, 3);
  CHECK(known.indexed);
  CHECK(*known.all == whole);
  CHECK(read(*known.sample) == 4);

  const std::filesystem::path empty = fixture.root / "empty";
  for (const char* name : {"a", "b"}) write_whole(empty / name / "notes.txt", "not an image");
  CHECK_THROWS_AS(estimate_images(empty, {}, 4, 3), Error);
}

TEST_CASE("the break-even is where both sides cost the same, or never") {
  // Two passes at 5 s a view, then 1 s an epoch against 3 s: 10 + n = 3 n.
  CHECK(*break_even_epochs({.extraction = 5, .read = 1, .live = 3}, 2) == doctest::Approx(5));
  // Calibration that takes 4 s for each view of a pass: 4 + 10 + n = 3 n.
  CHECK(*break_even_epochs({.extraction = 5, .read = 1, .live = 3, .calibration = 4}, 2) == doctest::Approx(7));
  CHECK(!break_even_epochs({.extraction = 5, .read = 3, .live = 3}, 2));
  CHECK(!break_even_epochs({.extraction = 5, .read = 4, .live = 3}, 2));
}
