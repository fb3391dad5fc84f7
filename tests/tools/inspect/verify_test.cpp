#include "tests/support/message.h"
#include "tools/inspect/verify.h"

#include <atomic>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/container_writer.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/file_check.h"
#include "tools/inspect/verify_files.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// Existing shards are never replaced, so the old one is removed first.
void make_room(const SampleCache& cache, const TrackInfo& track, std::uint32_t shard) {
  std::filesystem::remove(cache.directory / track.directory() / shard_file_name(shard));
}

// The shard of logits of pass 0 with other values.
void write_logits(const SampleCache& cache, const TrackInfo& track, std::uint32_t shard, float value) {
  std::vector<float> values(track.view_values() * cache.plan.options().group, value);
  std::vector<std::vector<Array>> groups;
  for (std::uint32_t g = 0; g < cache.plan.layout().span_of(ShardKey{0, shard}).groups; ++g)
    groups.push_back({{"values", "<f4", {4, 5}, {}}});
  for (auto& group : groups) {
    group[0].bytes.resize(values.size() * sizeof(float));
    std::memcpy(group[0].bytes.data(), values.data(), group[0].bytes.size());
  }
  make_room(cache, track, shard);
  write_shard(cache.directory, track, cache.plan, 0, shard, groups);
}

}  // namespace

TEST_CASE("an intact cache has no findings, and everything was checked") {
  const SampleCache cache;
  const VerifyReport report = cache.verify();
  CHECK(report.findings.empty());
  const std::size_t tracks = sample_tracks(cache.plan).size();
  // Recipes and tracks: two passes of two shards and shards.json.
  CHECK(report.files == 2 + (1 + tracks) * (4 + 1) + tracks);
  const auto files = cache.files();
  CHECK(report.files == files.size());
  std::uint64_t bytes = 0;
  for (const auto& [name, content] : files) bytes += content.size();
  CHECK(report.bytes == bytes);
  CHECK(report.incomplete.empty());
  CHECK(report.groups == tracks * 2 * 3);  // two passes of three groups
  CHECK(report.unlisted == 0);
  CHECK(cache.verify({.tracks = {"features.3"}}).groups == 2u * 3);
  CHECK(cache.verify({.tracks = {"other.aaaaaaaa/logits"}}).groups == 2u * 3);
  CHECK(cache.verify({.tracks = {"logits"}}).groups > 2u * 3);  // of all teachers
  CHECK_THROWS_AS(cache.verify({.tracks = {"logit"}}), Error);
  CHECK_THROWS_AS(verify_cache(cache.directory / "recipes", {}), Error);
}

TEST_CASE("recipes of many passes on many threads draw one permutation per pass") {
  const TemporaryDirectory directory;
  const Plan plan(sample_index(11), sample_options());
  constexpr std::uint32_t kPasses = 12;
  create_cache(directory.path(), plan.index(), plan);
  for (std::uint32_t pass = 0; pass < kPasses; ++pass)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
      write_recipes(directory.path(), plan, pass, shard,
                    std::vector<std::uint64_t>(plan.layout().span_of(ShardKey{0, shard}).groups));
  const Cache cache(directory.path());
  std::vector<FileTask> tasks;
  for (const std::uint64_t number : cache.recipe_directory().numbers())
    tasks.push_back({directory / "recipes" / shard_file_name(number), number, &cache, nullptr, nullptr, 1});
  REQUIRE(tasks.size() == 2 * kPasses);
  Findings findings(directory.path());
  FileCounts counts;
  std::atomic<std::size_t> checked = 0;
  check_files(tasks, nullptr, 4, findings, counts, [&](const FileTask& task) { checked += task.bytes; });
  CHECK(checked == tasks.size());
  CHECK(findings.sorted().empty());
  CHECK(cache.plan().orders_drawn() == kPasses);
}

TEST_CASE("shards on a process's list count as listed, and are compared with the files") {
  const SampleCache cache;
  const Manifest all = *Manifest::read(cache.path(kLogits));
  std::vector<FileRecord> three(all.files().begin(), all.files().end() - 1);
  write_whole(cache.path(kLogits + kManifestName), Manifest(three).json());
  CHECK(cache.verify().unlisted == 1);
  const ShardLog log(cache.path(kLogits));
  FileRecord last = all.files().back();
  log.append(last);
  VerifyReport report = cache.verify();
  CHECK(report.unlisted == 0);
  CHECK(report.findings.empty());
  std::filesystem::remove(log.path());
  last.hash ^= 1;
  log.append(last);
  report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].file == kLogits + last.name);
}

TEST_CASE("every kind of damage is found and named, without false findings") {
  struct Case {
    const char* what;
    std::function<void(const SampleCache&)> damage;
    std::string file, dataset;
    std::int64_t group;
    std::string words;
    Remedy remedy;
  };
  const auto remove = [](const std::string& file) {
    return [file](const SampleCache& cache) { std::filesystem::remove(cache.path(file)); };
  };
  const auto replace = [](const std::string& file, const std::string& bytes) {
    return [=](const SampleCache& cache) { write_whole(cache.path(file), bytes); };
  };
  const std::vector<Case> cases{
      {"a bit of a frame", [](const SampleCache& c) { c.flip_chunk(kFeatures + "00002.h5", "q", 1); },
       kFeatures + "00002.h5", "q", 1, "checksum", Remedy::kRemake},
      {"a bit of a second dataset", [](const SampleCache& c) { c.flip_chunk(kFeatures + "00000.h5", "scale", 0); },
       kFeatures + "00000.h5", "scale", 0, "checksum", Remedy::kRemake},
      {"a bit of a table", [](const SampleCache& c) { c.flip(kLogits + "00001.h5", 200); }, kLogits + "00001.h5", "",
       -1, "", Remedy::kRemake},
      {"cut short",
       [](const SampleCache& c) {
         const auto path = c.path(kLogits + "00003.h5");
         std::filesystem::resize_file(path, std::filesystem::file_size(path) - 100);
       },
       kLogits + "00003.h5", "", -1, "bytes", Remedy::kRemake},
      {"a listed shard is gone", remove(kLogits + "00002.h5"), kLogits + "00002.h5", "", -1, "listed in shards.json",
       Remedy::kRemake},
      {"recipes", [](const SampleCache& c) { c.flip_chunk("recipes/00001.h5", "recipe", 0); }, "recipes/00001.h5",
       "recipe", 0, "checksum", Remedy::kRemake},
      {"picture hashes", [](const SampleCache& c) { c.flip_chunk("recipes/00000.h5", "picture_hash", 0); },
       "recipes/00000.h5", "picture_hash", -1, "checksum", Remedy::kRemake},
      {"index", [](const SampleCache& c) { c.flip_chunk("index.h5", "height", 0); }, "index.h5", "height", -1,
       "checksum", Remedy::kCopy},
      {"plan", replace("plan.json", "{}"), "plan.json", "", -1, "", Remedy::kCopy},
      {"a track's settings", replace(kLogits + "track.json", "{"), kLogits + "track.json", "", -1, "not a track.json",
       Remedy::kRestore},
      {"no settings", remove(kLogits + "track.json"), kLogits + "track.json", "", -1, "missing", Remedy::kRestore},
      {"settings that no shard has",
       [](const SampleCache& c) {
         const std::string json = read_whole(c.path(kLogits + "track.json"));
         write_whole(c.path(kLogits + "track.json"),
                     with_new_check(std::string(json).replace(json.find("\"level\": 1"), 10, "\"level\": 2")));
       },
       kLogits + "track.json", "", -1, "does not match its 4 shards: level is 2, but 1 in the shards", Remedy::kMove},
      {"a digit of its settings",
       [](const SampleCache& c) {
         const std::string json = read_whole(c.path(kLogits + "track.json"));
         write_whole(c.path(kLogits + "track.json"),
                     std::string(json).replace(json.find("\"level\": 1"), 10, "\"level\": 2"));
       },
       kLogits + "track.json", "", -1, "its check is missing or wrong", Remedy::kRestore},
      {"the list", replace(kLogits + "shards.json", "[]"), kLogits + "shards.json", "", -1, "", Remedy::kRelist},
      {"another's shard",
       [](const SampleCache& c) {
         std::filesystem::copy_file(c.path(kLogits + "00000.h5"), c.path(kLogits + "00002.h5"),
                                    std::filesystem::copy_options::overwrite_existing);
       },
       kLogits + "00002.h5", "", -1, "pass 0, expected 1", Remedy::kMove},
      {"a track of another plan",
       [](const SampleCache& c) {
         auto json = nlohmann::ordered_json::parse(read_whole(c.path(kLogits + "track.json")));
         json["plan"] = std::string(64, 'b');
         write_whole(c.path(kLogits + "track.json"), with_new_check(json.dump(2) + "\n"));
       },
       kLogits + "track.json", "", -1, "another plan", Remedy::kMove},
  };
  for (const Case& bad : cases) {
    CAPTURE(bad.what);
    const SampleCache cache;
    bad.damage(cache);
    const VerifyReport report = cache.verify();
    REQUIRE(!report.findings.empty());
    bool found = false;
    for (const Finding& finding : report.findings) {
      CAPTURE(finding.file);
      CAPTURE(finding.dataset);
      CAPTURE(finding.group);
      CAPTURE(finding.what);
      CHECK(finding.file == bad.file);
      CHECK(finding.remedy == bad.remedy);
      CHECK(finding.what.find(cache.directory.string()) == std::string::npos);
      found |= finding.dataset == bad.dataset && finding.group == bad.group &&
               finding.what.find(bad.words) != std::string::npos;
    }
    CHECK(found);
  }
}

TEST_CASE("a track.json on which the shards disagree, or that no shard records, must be extracted again") {
  const SampleCache cache;
  const TrackInfo track = sample_tracks(cache.plan)[0];
  TrackInfo stranger = track;
  stranger.compression.level = 5;
  make_room(cache, track, 1);
  write_sample_shard(cache.directory, cache.plan, stranger, 0, 1);
  std::filesystem::remove(cache.path(kLogits + "shards.json"));
  // With a valid track.json the shard is the foreign one.
  VerifyReport report = cache.verify({.tracks = {"tiny.aaaaaaaa/logits"}});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].file == kLogits + "00001.h5");
  CHECK(has(report.findings[0].what, "has track.level 5, expected 1"));
  CHECK(report.findings[0].remedy == Remedy::kMove);
  write_whole(cache.path(kLogits + "track.json"), "");
  report = cache.verify({.tracks = {"tiny.aaaaaaaa/logits"}});
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].remedy == Remedy::kRemake);
  make_room(cache, track, 1);
  write_sample_shard(cache.directory, cache.plan, track, 0, 1);
  CHECK(cache.verify({.tracks = {"tiny.aaaaaaaa/logits"}}).findings.at(0).remedy == Remedy::kRestore);
  // Valid tables with damaged frames cannot be trusted.
  for (const char* shard : {"00000.h5", "00001.h5", "00002.h5", "00003.h5"})
    cache.flip_chunk(kLogits + shard, "values", 0);
  for (const Finding& finding : cache.verify({.tracks = {"tiny.aaaaaaaa/logits"}}).findings)
    CHECK(finding.remedy == Remedy::kRemake);
}

TEST_CASE("bytes that no checksum of the file covers are found by shards.json and by HDF5") {
  const SampleCache cache;
  const std::string file = kLogits + "00000.h5";
  const std::string whole = read_whole(cache.path(file));
  const std::size_t signature = whole.find("\x89HDF\r\n\x1a\n");
  REQUIRE(signature != std::string::npos);
  cache.flip(file, signature + 1);
  VerifyReport report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(has(report.findings[0].what, "HDF5"));
  write_whole(cache.path(file), whole);
  cache.flip(file, signature - 1);  // the user block's padding
  report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(has(report.findings[0].what, "its hash differs"));
  CHECK(report.findings[0].file == file);
}

TEST_CASE("a table with a valid checksum is compared with HDF5") {
  // The user block of one valid file before the HDF5 part of another: same shapes, other frames.
  const TemporaryDirectory directory;
  const std::vector<float> a{1, 2, 3, 4}, b{5, 6, 7, 8};
  const auto write = [&](const char* name, const std::vector<float>& values, std::uint32_t rows) {
    std::vector<std::span<const std::byte>> chunks;
    for (std::size_t i = 0; i < 4; i += rows) chunks.push_back(std::as_bytes(std::span(values).subspan(i, rows)));
    write_container(directory / name, {{"values", "<f4", {4}, rows, chunks}}, R"({"format":"x"})", 1);
  };
  const SampleCache cache;
  CHECK(cache.verify().findings.empty());
  write("a.h5", a, 4);
  write("b.h5", b, 2);
  // These two files differ only in the number of chunks.
  const Container file(directory / "a.h5");
  CHECK(!check_hdf5(file));
  CHECK(!check_hdf5(Container(directory / "b.h5")));
  std::filesystem::rename(directory / "b.h5", directory / "a.h5");
  const auto fault = check_hdf5(file);
  REQUIRE(fault);
  CHECK(fault->dataset == "values");
}

TEST_CASE("non-finite values are found although every checksum is valid") {
  const SampleCache cache;
  const TrackInfo exact = sample_tracks(cache.plan)[3];
  write_logits(cache, exact, 1, std::numeric_limits<float>::quiet_NaN());
  refresh_manifest(cache.directory / exact.directory());
  const VerifyReport report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].file == exact.directory() + "/00001.h5");
  CHECK(report.findings[0].group == 0);
  CHECK(has(report.findings[0].what, "view 0 holds a value that is not finite"));
}

TEST_CASE("a pass with missing shards is reported, but is not damage") {
  const SampleCache cache;
  // As during an extraction: pass 1 has its first shard everywhere, except in one track without any shard of pass 1.
  for (const auto& [name, content] : cache.files())
    if (name.ends_with("shards.json") || name.ends_with("/00003.h5") || name == kLogits + "00002.h5")
      std::filesystem::remove(cache.path(name));
  const VerifyReport report = cache.verify();
  CHECK(report.findings.empty());
  const auto tracks = sample_tracks(cache.plan);
  REQUIRE(report.incomplete.size() == tracks.size());  // recipes, and all tracks but that one
  for (const IncompletePass& pass : report.incomplete) {
    CHECK(pass.directory + "/" != kLogits);
    CHECK(pass.pass == 1);
    CHECK(pass.missing == 1);
    CHECK(pass.shards == 2);
  }
  CHECK(report.incomplete[0].directory == "recipes");

  const std::string command = executable("vitrine-cache") + " verify '" + cache.directory.string() + "'";
  const CommandResult words = run(command);
  CHECK(words.exit_code == 0);
  CHECK(words.output.find("all is well") == std::string::npos);
  CHECK(has(words.output, "passes are incomplete"));
  const std::string gap(std::string("tiny.aaaaaaaa/attention.3").size() - std::string("recipes").size() + 2, ' ');
  CHECK(has(words.output, "\n  recipes" + gap + "1       1 of 2\n"));
  const auto json = nlohmann::json::parse(run("( " + command + " --json 2> /dev/null )").output);
  REQUIRE(json["incomplete"].size() == tracks.size());
  CHECK(json["incomplete"][0] ==
        nlohmann::json({{"directory", "recipes"}, {"pass", 1}, {"missing_shards", 1}, {"shards", 2}}));
}

TEST_CASE("a file whose number is beyond the last pass is a finding, and no pass is incomplete for it") {
  const SampleCache cache;
  const std::string stray = kLogits + shard_file_name(std::uint64_t{2} << 32);  // of pass 2^32
  std::filesystem::copy_file(cache.path(kLogits + "00000.h5"), cache.path(stray));
  const VerifyReport report = cache.verify();
  CHECK(report.incomplete.empty());
  CHECK(std::ranges::any_of(report.findings, [&](const Finding& finding) { return finding.file == stray; }));
}

TEST_CASE("something with a shard's name that is not a file is a finding") {
  const SampleCache cache;
  std::filesystem::create_directory(cache.path(kLogits + "00004.h5"));
  std::filesystem::create_symlink("nowhere", cache.path("recipes/00007.h5"));
  const VerifyReport report = cache.verify();
  REQUIRE(report.findings.size() == 2);
  CHECK(report.findings[0].file == "recipes/00007.h5");
  CHECK(report.findings[1].file == kLogits + "00004.h5");
  for (const Finding& finding : report.findings) {
    CHECK(finding.what == "is not a file");
    CHECK(finding.remedy == Remedy::kMove);
  }
  CHECK(run(executable("vitrine-cache") + " verify '" + cache.directory.string() + "'").exit_code == 1);
}

TEST_CASE("with a damaged index the other files are still checked") {
  const SampleCache cache;
  cache.flip_chunk("index.h5", "height", 0);
  cache.flip_chunk(kFeatures + "00002.h5", "q", 1);
  std::map<std::string, Remedy> found;
  for (const Finding& finding : cache.verify().findings) found[finding.file] = finding.remedy;
  CHECK(found == std::map<std::string, Remedy>{{"index.h5", Remedy::kCopy}, {kFeatures + "00002.h5", Remedy::kRemake}});
}

TEST_CASE("vitrine-cache verify reports in its exit code, as a table and as JSON") {
  const SampleCache cache;
  const std::string command = executable("vitrine-cache") + " verify '" + cache.directory.string() + "'";
  CommandResult result = run(command);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "all is well"));
  cache.flip_chunk(kFeatures + "00002.h5", "q", 1);
  result = run(command);
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, "features.3/00002.h5  q"));
  CHECK(has(result.output, "repair, then extract again"));
  result = run("( " + command + " --json 2> /dev/null )");
  CHECK(result.exit_code == 1);
  const auto json = nlohmann::json::parse(result.output);
  REQUIRE(json["findings"].size() == 1);
  CHECK(json["findings"][0]["group"] == 1);
  CHECK(json["findings"][0]["remedy"] == "remake");
  CHECK(run(executable("vitrine-cache") + " verify '" + (cache.root / "none").string() + "'").exit_code == 2);
  CHECK(run(command + " --trak logits").exit_code == 2);
  CHECK(run(command + " --images '" + cache.root.path().string() + "'").exit_code == 2);
}
