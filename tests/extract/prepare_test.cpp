// The prepare step: done once, complete or absent, one process at a time.
#include <sys/stat.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <optional>
#include <thread>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/cache/preparation.h"
#include "common/cache/teacher_score.h"
#include "extract/prepare/lock.h"
#include "tests/extract/fixture.h"
#include "tests/extract/interrupted.h"
#include "tests/support/message.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::ExtractFixture;
using vitrine::testing::Files;
using vitrine::testing::has;
using vitrine::testing::interrupted_command;
using vitrine::testing::kBySignal;
using vitrine::testing::run;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

// Inode and change time by name, which differ for a rewritten file.
Files identities(const ExtractFixture& fixture, const std::string& cache) {
  Files out;
  for (const auto& [name, bytes] : fixture.files(cache)) {
    struct stat status {};
    REQUIRE(::stat((fixture.root / cache / name).c_str(), &status) == 0);
    out[name] = text(status.st_ino, " ", status.st_mtim.tv_sec, " ", status.st_mtim.tv_nsec);
  }
  return out;
}

bool computes(const CommandResult& result) {
  return has(result.output, "clean crops") || has(result.output, "calibrate") || has(result.output, "decode: ");
}

}  // namespace

TEST_CASE("the teacher's check on clean crops is recorded in the cache, once") {
  const ExtractFixture fixture;
  const CommandResult result = fixture.prepare("cache");
  REQUIRE(result.exit_code == 0);
  const std::filesystem::path cache = fixture.root / "cache";
  const std::string teacher = "small." + sha256_hex_of_file(fixture.weights).substr(0, 8);
  const std::optional<TeacherScore> score = read_teacher_score(cache, teacher);
  REQUIRE(score.has_value());
  CHECK(score->images == 15);
  const auto right = std::llround(15 * score->top1);
  CHECK(std::abs(15 * score->top1 - static_cast<double>(right)) < 1e-9);
  char words[32];
  std::snprintf(words, sizeof words, "top-1 %.1f %%", 100 * score->top1);
  CHECK(has(result.output, words));
  CHECK(score->confidence > 1.0 / 3 - 1e-6);
  // Another track of the teacher does not check it again, and one that was not checked has no record.
  REQUIRE(fixture.prepare("cache", {"taps.attention=[0]"}).exit_code == 0);
  CHECK(read_teacher_score(cache, teacher) == score);
  REQUIRE(fixture.prepare("unchecked", {"check_images=0"}).exit_code == 0);
  CHECK_FALSE(read_teacher_score(fixture.root / "unchecked", teacher).has_value());
}

TEST_CASE("preparing twice equals preparing once, and a run after it makes the same bytes as a single command") {
  const ExtractFixture fixture;
  const CommandResult first = fixture.prepare("cache");
  CAPTURE(first.output);
  REQUIRE(first.exit_code == 0);
  CHECK(computes(first));
  const Files before = identities(fixture, "cache");
  const CommandResult second = fixture.prepare("cache");
  CAPTURE(second.output);
  CHECK(second.exit_code == 0);
  CHECK_FALSE(computes(second));
  CHECK(has(second.output, "the contents of 15 images with the cache's index"));
  CHECK((identities(fixture, "cache") == before));

  REQUIRE(fixture.extract("whole").exit_code == 0);
  const CommandResult made = fixture.extract("cache");
  CHECK(made.exit_code == 0);
  CHECK_FALSE(computes(made));
  CHECK((fixture.files("cache") == fixture.files("whole")));
}

TEST_CASE("recipes are made without a teacher, and are those that an extraction makes, which continues with them") {
  const ExtractFixture fixture;
  const std::string no_teacher = "teacher.weights=" + (fixture.root / "none.safetensors").string();
  const auto recipes = [&](const char* cache, const std::string& how = "", const std::string& passes = "2") {
    return run(fixture.command(cache, {no_teacher, "passes=" + passes}) + " --recipes" + how);
  };
  const auto inspected = [&](const char* how, const char* cache) {
    return run(text("'", executable("vitrine-cache"), "' ", how, " '", (fixture.root / cache).string(), "'"));
  };
  const CommandResult dry = recipes("alone", " --dry-run");
  CAPTURE(dry.output);
  CHECK(dry.exit_code == 0);
  CHECK(has(dry.output, "recipes, 0 of 4 shards are there"));
  CHECK_FALSE(std::filesystem::exists(fixture.root / "alone"));

  CHECK(recipes("alone", " --part 2/2").exit_code == 2);
  REQUIRE(recipes("alone", " --prepare").exit_code == 0);
  CHECK(has(inspected("verify", "alone").output, "no track: no damage, but passes are incomplete"));
  const CommandResult first = recipes("alone", " --part 2/2");
  CAPTURE(first.output);
  REQUIRE(first.exit_code == 0);
  CHECK(has(inspected("info", "alone").output, "2 of 4 files"));
  const CommandResult unprepared = recipes("alone", " --part 2/2", "3");
  CHECK(unprepared.exit_code == 2);
  CHECK(has(unprepared.output, "passes 0 to 2 of recipes are not all prepared"));
  const CommandResult rest = recipes("alone");
  CAPTURE(rest.output);
  REQUIRE(rest.exit_code == 0);
  CHECK(has(rest.output, "2 new shards"));
  CHECK_FALSE(computes(rest));
  CHECK(has(inspected("info", "alone").output, "tracks: none"));
  CHECK(has(inspected("verify", "alone").output, "no track: all is well"));
  const Files made = fixture.files("alone");
  const std::string first_shard = identities(fixture, "alone").at("recipes/00000.h5");
  CHECK(recipes("alone").exit_code == 0);
  CHECK((fixture.files("alone") == made));

  REQUIRE(fixture.extract("whole").exit_code == 0);
  REQUIRE(fixture.extract("alone").exit_code == 0);
  Files whole = fixture.files("whole"), continued = fixture.files("alone");
  CHECK(whole.erase("prepared.json") + continued.erase("prepared.json") == 2);
  CHECK((whole == continued));
  CHECK(identities(fixture, "alone").at("recipes/00000.h5") == first_shard);
}

TEST_CASE("a preparation killed anywhere leaves complete files and no prepared.json, and can be repeated") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("whole").exit_code == 0);
  const Files expected = fixture.files("whole");
  const std::string command = fixture.command("killed") + " --prepare";
  int kills = 0, code = 0;
  // From the first write on, later each time; a run finishes only when everything exists.
  for (int step = 1; (code = interrupted_command(fixture, command, SIGKILL, "step " + std::to_string(step))) != 0;
       step += 2) {
    CAPTURE(step);
    REQUIRE(code == kBySignal + SIGKILL);
    REQUIRE(++kills < 40);
    const Files files = fixture.files("killed");
    for (const auto& [name, bytes] : files) {
      CAPTURE(name);
      if (has(name, ".part.") || name == "prepare.lock") continue;
      REQUIRE(expected.contains(name));
      CHECK((expected.at(name) == bytes));
    }
    if (files.contains(kPreparationFile))
      for (const auto& [name, bytes] : expected) CHECK(files.contains(name));
  }
  CHECK(kills > 4);
  REQUIRE(fixture.prepare("killed").exit_code == 0);
  CHECK((fixture.files("killed") == expected));
}

TEST_CASE("what a process left that was killed while it wrote the teacher's check is removed") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  const Files expected = fixture.files("cache");
  const auto score =
      std::ranges::find_if(expected, [](const auto& file) { return file.first.ends_with("/check.json"); });
  REQUIRE(score != expected.end());
  const std::filesystem::path half = fixture.root / "cache" / (score->first + ".part.elsewhere.7.8.0");
  for (const bool prepares : {true, false}) {
    CAPTURE(prepares);
    write_whole(half, "half");
    std::filesystem::last_write_time(half, std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
    const CommandResult result = prepares ? fixture.prepare("cache") : fixture.extract("cache", {"part=1/1"});
    CHECK(result.exit_code == 0);
    CHECK_FALSE(std::filesystem::exists(half));
  }
}

TEST_CASE("a basis left by a killed preparation with other settings is not used") {
  const ExtractFixture fixture;
  const std::vector<std::string> other{"taps.calibration_views=8", "taps.features=[-1]"}, wanted{"taps.features=[-1]"};
  REQUIRE(fixture.prepare("other", other).exit_code == 0);
  REQUIRE(fixture.prepare("whole", wanted).exit_code == 0);
  const Files theirs = fixture.files("other");
  for (const auto& [name, bytes] : theirs)
    if (name.ends_with("basis.h5")) {
      CHECK((fixture.files("whole").at(name) != bytes));
      write_whole(fixture.root / "cache" / name, bytes);
    }
  CHECK(fixture.prepare("cache", wanted).exit_code == 0);
  CHECK((fixture.files("cache") == fixture.files("whole")));
}

TEST_CASE("preparing tracks and passes one after the other equals preparing them at once") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("whole", {"passes=4"}).exit_code == 0);
  REQUIRE(fixture.prepare("cache", {"passes=2", "taps.features=[]", "taps.attention=[]"}).exit_code == 0);
  const CommandResult more = fixture.prepare("cache", {"passes=3"});
  CHECK(more.exit_code == 0);
  CHECK(has(more.output, "calibrate"));
  CHECK_FALSE(has(more.output, "clean crops"));  // the teacher was checked
  const CommandResult last = fixture.prepare("cache", {"first_pass=3", "passes=1"});
  CHECK(last.exit_code == 0);
  CHECK_FALSE(computes(last));
  CHECK((fixture.files("cache") == fixture.files("whole")));
}

TEST_CASE("a process waits while another prepares the cache, with a note") {
  const ExtractFixture fixture;
  std::optional<PrepareLock> lock(std::in_place, fixture.root / "cache", never_stop());
  FILE* pipe = popen((fixture.command("cache", {"passes=1"}) + " --prepare 2>&1").c_str(), "r");
  REQUIRE(pipe != nullptr);
  std::string said;
  char line[4096];
  while (!has(said, "another process prepares this cache; waiting for it") && fgets(line, sizeof line, pipe) != nullptr)
    said += line;
  CAPTURE(said);
  CHECK_FALSE(computes({0, said}));
  CHECK(fixture.files("cache").size() == 1);  // the lock
  lock.reset();
  while (fgets(line, sizeof line, pipe) != nullptr) said += line;
  CHECK(pclose(pipe) == 0);
  CHECK(has(said, "cache: prepared"));
  CHECK_FALSE(std::filesystem::exists(fixture.root / "cache/prepare.lock"));
  CHECK(std::filesystem::exists(fixture.root / "cache" / kPreparationFile));
}

TEST_CASE("of two concurrent preparations both succeed and only one computes") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("whole").exit_code == 0);
  CommandResult one, other;
  {
    std::jthread beside([&] { one = fixture.extract("cache"); });
    other = fixture.extract("cache");
  }
  CAPTURE(one.output);
  CAPTURE(other.output);
  CHECK(one.exit_code == 0);
  CHECK(other.exit_code == 0);
  CHECK(computes(one) != computes(other));
  CHECK((fixture.files("cache") == fixture.files("whole")));
}

TEST_CASE("the lock removes only what it created") {
  const TemporaryDirectory root;
  const std::filesystem::path cache = root / "a/b/cache";
  { const PrepareLock lock(cache, never_stop()); }
  CHECK_FALSE(std::filesystem::exists(root / "a"));
  std::filesystem::create_directories(root / "a");
  {
    const PrepareLock lock(cache, never_stop());
    write_whole(cache / "plan.json", "{}");
  }
  CHECK(std::filesystem::exists(cache / "plan.json"));
  CHECK_FALSE(std::filesystem::exists(cache / "prepare.lock"));
  // A lock file of a dead process.
  write_whole(cache / "prepare.lock", "");
  { const PrepareLock lock(cache, never_stop()); }
  CHECK_FALSE(std::filesystem::exists(cache / "prepare.lock"));
  write_whole(cache / "prepare.lock", "");
  PrepareLock::remove_abandoned(cache);
  CHECK_FALSE(std::filesystem::exists(cache / "prepare.lock"));
  const PrepareLock held(cache, never_stop());
  PrepareLock::remove_abandoned(cache);
  CHECK(std::filesystem::exists(cache / "prepare.lock"));
  const StopFlag stop{true};
  CHECK_THROWS_AS(PrepareLock(cache, stop), Stopped);
}
