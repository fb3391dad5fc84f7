// The prepare and run steps as processes: what each reads, writes and refuses.
#include <sys/inotify.h>
#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "common/base/error.h"
#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "tests/extract/equal_files.h"
#include "tests/extract/fixture.h"
#include "tests/extract/interrupted.h"
#include "tests/support/message.h"

using namespace vitrine;
using vitrine::testing::check_equal;
using vitrine::testing::CommandResult;
using vitrine::testing::ExtractFixture;
using vitrine::testing::Files;
using vitrine::testing::has;
using vitrine::testing::interrupted_command;
using vitrine::testing::kBySignal;
using vitrine::testing::read_whole;
using vitrine::testing::run;
using vitrine::testing::write_whole;

namespace {

void check_words(const CommandResult& result, int exit_code, const std::vector<std::string>& words) {
  CAPTURE(result.output);
  CHECK(result.exit_code == exit_code);
  for (const std::string& word : words) {
    CAPTURE(word);
    CHECK(has(result.output, word));
  }
}

// RAII: records the files that any process opens in some directories.
class OpenedFiles {
 public:
  explicit OpenedFiles(const std::vector<std::filesystem::path>& directories)
      : descriptor_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {
    REQUIRE(descriptor_ >= 0);
    for (const std::filesystem::path& directory : directories) {
      const int watch = ::inotify_add_watch(descriptor_, directory.c_str(), IN_OPEN);
      REQUIRE(watch >= 0);
      directories_[watch] = directory.filename().string();
    }
  }
  ~OpenedFiles() { ::close(descriptor_); }
  OpenedFiles(const OpenedFiles&) = delete;
  OpenedFiles& operator=(const OpenedFiles&) = delete;

  /// "DIRECTORY/FILE" since the last call.
  std::set<std::string> names() {
    std::set<std::string> out;
    alignas(inotify_event) char buffer[1 << 16];
    for (ssize_t bytes; (bytes = ::read(descriptor_, buffer, sizeof buffer)) > 0;)
      for (ssize_t at = 0; at < bytes;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        REQUIRE((event->mask & IN_Q_OVERFLOW) == 0);
        if (event->len > 0) out.insert(directories_.at(event->wd) + "/" + event->name);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      }
    return out;
  }

 private:
  int descriptor_;
  std::map<int, std::string> directories_;
};

std::vector<std::filesystem::path> directories_of_shards(const ExtractFixture& fixture, const std::string& cache) {
  std::set<std::filesystem::path> out;
  for (const std::string& shard : fixture.shards(cache)) out.insert((fixture.root / cache / shard).parent_path());
  return {out.begin(), out.end()};
}

}  // namespace

TEST_CASE("--dry-run checks and describes an extraction, and writes nothing") {
  const ExtractFixture fixture;
  const std::string line = fixture.command("cache") + " --dry-run";
  check_words(run(line), 0,
              {"memory: about ", "workers", "track: small.", "/features.1, 0 of 4 shards are there",
               "size: at most about ", "top-1", "cache: dry run: everything fits, nothing was written"});
  CHECK_FALSE(std::filesystem::exists(fixture.root / "cache"));
  REQUIRE(fixture.extract("cache", {"passes=1"}).exit_code == 0);
  const Files before = fixture.files("cache");
  check_words(run(line), 0, {"/features.1, 2 of 4 shards are there"});
  CHECK((fixture.files("cache") == before));
  check_words(run(line + " --set plan.seed=8"), 2, {"plan.seed"});
  check_words(run(line + " --set teacher.weights=nowhere.safetensors"), 2, {"nowhere.safetensors"});
}

TEST_CASE("a part does not prepare; it prints the command that does, which works") {
  const ExtractFixture fixture;
  check_words(fixture.extract("cache", {"part=1/2", "teacher.weights=nowhere"}), 2, {"cache: is not prepared"});
  const CommandResult refused = run(fixture.command("cache", {"passes=1"}) + " --set part=1/2 --part 2/2");
  check_words(refused, 2, {"cache: is not prepared for this configuration (it has no prepared.json)", "part 2/2"});
  CHECK_FALSE(std::filesystem::exists(fixture.root / "cache"));
  const std::string before = "before starting the parts: ";
  const std::size_t at = refused.output.find(before);
  REQUIRE(at != std::string::npos);
  const std::string command =
      refused.output.substr(at + before.size(), refused.output.find('\n', at) - at - before.size());
  CHECK(command.ends_with(" --prepare"));
  CHECK_FALSE(has(command, "part="));
  check_words(run(command), 0,
              {"clean crops", "calibrate", "size: at most about ", "memory: about ", "cache: prepared\n"});
  CHECK(fixture.shards("cache").empty());
  CHECK(fixture.extract("cache", {"passes=1", "part=2/2"}).exit_code == 0);

  check_words(fixture.extract("cache", {"passes=3", "part=2/2"}), 2,
              {"passes 0 to 2 of small.", "are not all prepared"});
  check_words(fixture.extract("cache", {"passes=1", "part=2/2", "taps.attention=[0]"}), 2,
              {"/attention.0 is not prepared"});
  check_words(run(fixture.command("cache") + " --prepare --part 1/2"), 2, {"--prepare", "--part"});
}

TEST_CASE("concurrent parts make the same bytes as one process, and do not check, calibrate or scan") {
  const ExtractFixture fixture;
  const std::vector<std::string> passes{"passes=4"};
  REQUIRE(fixture.extract("whole", passes).exit_code == 0);
  REQUIRE(fixture.prepare("cache", passes).exit_code == 0);
  const Files prepared = fixture.files("cache");
  for (const char* name : {"index.h5", "plan.json", "index_record.json", "prepared.json"})
    CHECK(prepared.contains(name));
  std::vector<CommandResult> results(3);
  {
    std::vector<std::jthread> parts;
    for (std::size_t i = 0; i < results.size(); ++i)
      parts.emplace_back([&, i] {
        results[i] = fixture.extract("cache", {"passes=4", "part=" + std::to_string(i + 1) + "/3"});
      });
  }
  for (const CommandResult& result : results) {
    CAPTURE(result.output);
    CHECK(result.exit_code == 0);
    CHECK(has(result.output, "the sizes of 15 of 15 images are those of the cache's index"));
    for (const char* word : {"clean crops", "calibrate", "decode: ", "check: ", "index: ", "finished files"})
      CHECK_FALSE(has(result.output, word));
  }
  check_equal(fixture.files("whole"), fixture.files("cache"));
  for (const auto& [name, bytes] : prepared) CHECK((fixture.files("cache").at(name) == bytes));
}

TEST_CASE("a part opens no shard of another part, including when it merges the lists") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  REQUIRE(fixture.extract("cache", {"part=1/2"}).exit_code == 0);
  const std::vector<std::string> others = fixture.shards("cache");
  REQUIRE(others.size() == 5 * 2);
  OpenedFiles opened(directories_of_shards(fixture, "cache"));
  REQUIRE(fixture.extract("cache", {"part=2/2"}).exit_code == 0);
  const std::set<std::string> names = opened.names();
  CHECK(std::ranges::any_of(names, [](const std::string& name) { return name.starts_with("recipes/00001.h5"); }));
  for (const std::string& other : others) {
    const std::filesystem::path path = other;
    CAPTURE(other);
    CHECK_FALSE(names.contains(path.parent_path().filename().string() + "/" + path.filename().string()));
  }
  for (const std::filesystem::path& directory : directories_of_shards(fixture, "cache")) {
    REQUIRE(Manifest::read(directory));
    CHECK(compare_manifest(*Manifest::read(directory), directory, true).none());
  }
}

TEST_CASE("a shard that a killed part did not list is read by that part only, and merging waits for it") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  const std::string first = fixture.command("cache", {"part=1/2"});
  REQUIRE(interrupted_command(fixture, first, SIGKILL, "shard 2") == kBySignal + SIGKILL);
  // Left long ago by a writer on another machine that died while writing.
  const std::filesystem::path half = fixture.root / "cache/recipes/00003.h5.part.0123456789abcdef.7.8.0";
  write_whole(half, "half a file");
  std::filesystem::last_write_time(half, std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
  OpenedFiles opened(directories_of_shards(fixture, "cache"));
  const CommandResult other = fixture.extract("cache", {"part=2/2"});
  CHECK(other.exit_code == 0);
  CHECK_FALSE(has(other.output, "finished files"));
  for (const std::string& name : opened.names())
    for (const char* shard : {"/00000.h5", "/00002.h5"}) CHECK_FALSE(name.ends_with(shard));
  CHECK_FALSE(std::filesystem::exists(fixture.root / "cache/recipes" / kManifestName));
  check_words(run(first), 0, {"recipes: 1 finished files are in no list"});
  REQUIRE(fixture.extract("whole").exit_code == 0);
  check_equal(fixture.files("whole"), fixture.files("cache"));
}

TEST_CASE("a part refuses a folder other than the index's before the teacher runs") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  const Files before = fixture.files("cache");
  const std::filesystem::path copy = fixture.root / "copy";
  std::filesystem::copy(fixture.images, copy, std::filesystem::copy_options::recursive);
  const auto part = [&](std::vector<std::string> settings) {
    settings.insert(settings.end(), {"part=1/2", "images=" + copy.string()});
    return fixture.extract("cache", settings);
  };
  write_whole(copy / "bee/2.jpg", read_whole(copy / "bee/2.jpg") + " ");
  check_words(part({}), 2, {"copy: 1 of 15 sampled images", "missing or have another size", "bee/2.jpg", "bad_images"});
  for (const char* name : {"ant", "bee"}) std::filesystem::remove_all(copy / name);
  check_words(part({"bad_images=skip"}), 2, {"10 of 15 sampled images", "ant/0.jpg", "the cache was prepared from"});
  check_words(fixture.extract("cache", {"part=1/2", "images=" + (fixture.root / "nowhere").string()}), 2,
              {"15 of 15 sampled images"});
  check_words(fixture.extract("cache", {"part=1/2", "labels=none"}), 2, {"labels = \"none\"", "3 classes"});
  check_words(fixture.extract("cache", {"part=1/2", "unlabelled=" + copy.string()}), 2, {"unlabelled is given"});
  CHECK((fixture.files("cache") == before));
  // Another content of the same size is detected when the file is read.
  std::string picture = read_whole(fixture.images / "ant/0.jpg");
  picture[picture.size() / 2] = static_cast<char>(picture[picture.size() / 2] ^ 1);
  write_whole(fixture.images / "ant/0.jpg", picture);
  check_words(fixture.extract("cache", {"part=1/1", "verify_images=all"}), 2, {"ant/0.jpg", "other contents"});
  check_words(run(fixture.command("cache", {"part=1/2"})), 2, {"ant/0.jpg"});
  CHECK(fixture.shards("cache").size() < 5 * 2);
}

TEST_CASE("settings that contradict the cache are refused before the teacher is loaded or images are read") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  const Files before = fixture.files("cache");
  const std::string nowhere = (fixture.root / "nowhere").string();
  for (const char* part : {"part=1/1", "part=1/2"}) {
    CAPTURE(part);
    check_words(
        fixture.extract("cache", {part, "plan.seed=8", "plan.flip=0.25", "teacher.weights=" + nowhere}), 2,
        {"plan.json: the cache holds another plan", "seed is 7, but 8 in this configuration", "flip is 0.5, but 0.25"});
    check_words(fixture.extract("cache", {part, "teacher.precision=bf16", "images=" + nowhere}), 2,
                {"track.json", "made_with.precision is \"fp32\", but \"bf16\" in this configuration"});
    check_words(fixture.extract("cache", {part, "taps.max_error=0.5", "images=" + nowhere}), 2,
                {"features.0/track.json", "codec.max_error is 0.01, but 0.5 in this configuration"});
    check_words(fixture.extract("cache", {part, "taps.calibration_views=8"}), 2,
                {"basis.h5: was made from 16 views", "taps.calibration_views = 8"});
  }
  std::filesystem::remove(fixture.images / "cat" / "4.jpg");
  const CommandResult index = fixture.extract("cache", {"passes=3", "teacher.name=another"});  // not checked yet
  check_words(index, 2, {"index.h5: the cache holds another index", "15 images, now there are 14"});
  CHECK_FALSE(has(index.output, "clean crops"));
  CHECK((fixture.files("cache") == before));
  // Settings that do not fit the teacher are also found without the images.
  check_words(fixture.extract("new", {"teacher.micro_batch=3", "images=" + nowhere}), 2, {"teacher.micro_batch = 3"});
}

TEST_CASE("a track added to a complete cache is prepared once and made by parts") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("whole").exit_code == 0);
  REQUIRE(fixture.extract("cache", {"taps.features=[]", "taps.attention=[]"}).exit_code == 0);
  check_words(fixture.extract("cache", {"part=1/2"}), 2, {"/features.0 is not prepared"});
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  for (const char* part : {"part=1/2", "part=2/2"}) REQUIRE(fixture.extract("cache", {part}).exit_code == 0);
  check_equal(fixture.files("whole"), fixture.files("cache"));
}

TEST_CASE("a picture lost after preparation costs concurrent parts the same views as one process") {
  const ExtractFixture fixture;
  for (const char* cache : {"one", "parts"}) REQUIRE(fixture.prepare(cache).exit_code == 0);
  std::filesystem::remove(fixture.images / "bee/2.jpg");
  check_words(fixture.extract("parts", {"part=1/2"}), 2, {"1 of 15 sampled images", "bee/2.jpg"});
  REQUIRE(fixture.extract("one", {"bad_images=skip"}).exit_code == 0);
  for (const char* part : {"part=1/2", "part=2/2"})
    check_words(fixture.extract("parts", {part, "bad_images=skip"}), 0, {});
  Files one = fixture.files("one"), parts = fixture.files("parts");
  CHECK(has(one.at("left_out.tsv"), "missing\tbee/2.jpg"));
  CHECK(has(parts.at("left_out.tsv"), "failed later\tbee/2.jpg"));
  for (Files* files : {&one, &parts}) files->erase("left_out.tsv");
  check_equal(one, parts);
  check_words(
      run(vitrine::testing::executable("vitrine-cache") + " verify '" + (fixture.root / "parts").string() + "'"), 0,
      {"views left out", "all is well"});
}

TEST_CASE("a damaged prepared.json is found by verify, set aside by repair and made again by an extraction") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache").exit_code == 0);
  const Files before = fixture.files("cache");
  const std::filesystem::path file = fixture.root / "cache" / kPreparationFile;
  const auto cache_command = [&](const std::string& words) {
    return run(vitrine::testing::executable("vitrine-cache") + " " + words + " '" + (fixture.root / "cache").string() +
               "'");
  };
  check_words(cache_command("verify"), 0, {"all is well"});
  write_whole(file, before.at(kPreparationFile).substr(0, 100));
  check_words(cache_command("verify"), 1, {"prepared.json"});
  check_words(fixture.extract("cache"), 4, {"prepared.json"});  // no word of it is believed
  check_words(cache_command("repair"), 1, {"set aside prepared.json as prepared.json.damaged", "--prepare"});
  REQUIRE(fixture.extract("cache").exit_code == 0);
  check_words(cache_command("verify"), 0, {"all is well"});
  Files after = fixture.files("cache");
  CHECK(after.erase("prepared.json.damaged") == 1);
  check_equal(before, after);
}

TEST_CASE("the two acts never include each other") {
  const std::filesystem::path source = std::filesystem::path(std::getenv("VITRINE_SOURCE")) / "extract";
  for (const auto& [act, other] : {std::pair("prepare", "extract/run/"), std::pair("run", "extract/prepare/")}) {
    std::size_t files = 0;
    for (const auto& entry : std::filesystem::directory_iterator(source / act)) {
      CAPTURE(entry.path().string());
      CHECK_FALSE(has(read_whole(entry.path()), std::string("#include \"") + other));
      ++files;
    }
    CHECK(files > 1);
  }
}

TEST_CASE("vitrine-cache info prints the progress of all parts and the missing shards") {
  const ExtractFixture fixture;
  const auto info = [&](const char* more) {
    return run(vitrine::testing::executable("vitrine-cache") + " info '" + (fixture.root / "cache").string() + "'" +
               more);
  };
  REQUIRE(fixture.prepare("cache", {"passes=3"}).exit_code == 0);
  check_words(info(""), 0, {"extraction: 0 of 30 files, 0 %", "00000-00005"});
  REQUIRE(fixture.extract("cache", {"passes=3", "part=2/3"}).exit_code == 0);
  check_words(info(""), 0, {"extraction: 10 of 30 files, 33 %", "0-2", "2 of 6", "00000, 00002-00003, 00005"});
  const auto json = nlohmann::json::parse(info(" --json").output);
  REQUIRE(json["prepared"].size() == 5);
  for (const auto& directory : json["prepared"]) {
    CHECK(directory["wanted"] == 6);
    CHECK(directory["there"] == 2);
    CHECK(directory["missing"] == nlohmann::json::parse("[[0, 0], [2, 3], [5, 5]]"));
  }
  REQUIRE(fixture.extract("cache", {"passes=3"}).exit_code == 0);
  check_words(info(""), 0, {"extraction: 30 of 30 files, 100 %, complete"});
  write_whole(fixture.root / "cache" / kPreparationFile, "{");
  check_words(info(""), 0, {"extraction: what it is to make is not known", "prepared.json"});
  std::filesystem::remove(fixture.root / "cache" / kPreparationFile);
  check_words(info(""), 0, {"there is no prepared.json"});
}
