// vitrine-cache info, also with unreadable files.
#include "common/cache/cache.h"

#include <nlohmann/json.hpp>

#include "tests/cache/sample.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

TEST_CASE("only files count as shards, and one that vanishes during listing is ignored") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  const TrackInfo track = sample_tracks(plan)[0];
  const std::filesystem::path place = directory / track.directory();
  std::filesystem::remove(place / "00003.h5");
  std::filesystem::create_directory(place / "00003.h5");
  std::filesystem::create_symlink("nowhere.h5", place / "00004.h5");  // like a removed file
  const Cache cache(directory.path());
  const TrackReader reader(cache, track);
  CHECK(reader.shards() == 4);
  CHECK(has(message_of([&] { reader.shard_directory().open(3); }), "00003.h5: is not a regular file"));
  CHECK(has(message_of([&] { reader.shard_directory().open(4); }), "00004.h5: is missing"));
  const CommandResult info = run(executable("vitrine-cache") + " info " + directory.path().string());
  CHECK(info.exit_code == 1);
  CHECK(has(info.output, "00003.h5: is not a regular file"));
}

TEST_CASE("vitrine-cache info shows what is readable and names what is not") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  write_whole(directory / "few.aaaaaaaa/logits/track.json", "{");
  for (const char* shard : {"00001.h5", "00002.h5"})
    write_whole(directory / "tiny.aaaaaaaa/features.3" / shard, "damaged");
  const std::string command = executable("vitrine-cache") + " info " + directory.path().string();
  const CommandResult words = run(command);
  CAPTURE(words.output);
  CHECK(words.exit_code == 1);
  CHECK(has(words.output, "uniform, max_error 0.015625"));
  CHECK(has(words.output, "topk, 3 kept, temperatures 2  "));
  CHECK(has(words.output, "4, 2 not readable"));
  CHECK(has(words.output, "few.aaaaaaaa/logits/track.json: is not a track.json"));
  CHECK(has(words.output, "; and 1 more"));
  const CommandResult result = run("( " + command + " --json 2> /dev/null )");
  CHECK(result.exit_code == 1);
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json["tracks"].size() == sample_tracks(plan).size() - 1);
  REQUIRE(json["unreadable"].size() == 1);
  CHECK(json["unreadable"][0]["directory"] == "few.aaaaaaaa/logits");
  for (const auto& track : json["tracks"]) {
    const bool damaged = track["directory"] == "tiny.aaaaaaaa/features.3";
    CHECK(track["unreadable"].size() == (damaged ? 2 : 0));
    CHECK(track["made_with"][0]["shards"] == (damaged ? 2 : 4));
  }
}

TEST_CASE("vitrine-cache info prints images, plan and tracks") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  write_sample(directory.path(), plan, 2);
  const CommandResult words = run(executable("vitrine-cache") + " info " + directory.path().string());
  CHECK(words.exit_code == 0);
  CHECK(has(words.output, "11 images in 2 classes"));
  CHECK(words.output.find("views per pass (the last is filled up with the pass's first images), ") !=
        std::string::npos);
  CHECK(has(words.output, "tiny.aaaaaaaa/features.3   6x2x3  int8  "));
  const CommandResult result = run(executable("vitrine-cache") + " info --json " + directory.path().string());
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json["tracks"].size() == sample_tracks(plan).size());
  CHECK(json["tracks"][0]["passes"] == std::vector<int>{0, 1});
  CHECK(json["plan_hash"] == plan.hash());
  CHECK(run(executable("vitrine-cache") + " info " + (directory / "none").string()).exit_code == 2);
}
