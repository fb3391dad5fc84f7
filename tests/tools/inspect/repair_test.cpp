#include "tests/support/message.h"
#include "tools/inspect/repair.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/teacher_classes.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/gap.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::string repair_command(const SampleCache& cache) {
  return executable("vitrine-cache") + " repair '" + cache.directory.string() + "'";
}

}  // namespace

TEST_CASE("repair renames only what is damaged; making it again gives the original bytes") {
  const SampleCache cache;
  const auto before = cache.files();
  cache.flip_chunk(kFeatures + "00003.h5", "q", 0);
  cache.flip(kLogits + "00000.h5", 100);
  cache.flip_chunk("recipes/00001.h5", "recipe", 0);
  write_whole(cache.path(kLogits + "shards.json"), "[]");
  const VerifyReport report = cache.verify();
  const RepairPlan plan = plan_repair(cache.directory, report);
  CHECK(plan.unrepairable.empty());
  CHECK(plan.left.empty());
  CHECK(plan.set_aside == std::vector<std::string>{"recipes/00001.h5", kFeatures + "00003.h5", kLogits + "00000.h5"});
  REQUIRE(plan.gaps.size() == 3);
  CHECK(plan.gaps[1].directory + "/" == kFeatures);
  CHECK(plan.gaps[1].shards == std::vector<std::uint64_t>{3});
  CHECK(plan.gaps[1].passes == std::vector<std::uint32_t>{1});
  REQUIRE(plan.commands.size() == 1);
  CHECK(has(plan.commands[0], "first_pass=0 --set passes=2"));

  const auto damaged = cache.files();
  const std::map<std::string, std::string> renamed = carry_out(cache.directory, plan);
  CHECK(renamed.size() == 4);  // the damaged list of shards too
  auto expected = damaged;
  for (const auto& [file, name] : renamed) {
    CHECK(name == file + ".damaged");
    expected[name] = expected[file];  // every byte is kept
    if (!file.ends_with("shards.json")) expected.erase(file);
  }
  auto now = cache.files();
  REQUIRE(now.size() == expected.size());
  for (const auto& [name, bytes] : expected) {
    CAPTURE(name);
    if (!name.ends_with("shards.json")) CHECK((now[name] == bytes));
  }
  std::vector<std::string> names;
  for (const auto& [file, name] : renamed) names.push_back(name);
  CHECK(cache.verify().set_aside == names);
  // Gaps are not damage: continuing the extraction fills them.
  CHECK(cache.verify({.tracks = {"tiny.aaaaaaaa/logits"}}).findings.size() == 1);  // the recipes of its views are gone
  const std::vector<TrackInfo> tracks = sample_tracks(cache.plan);
  write_sample_shard(cache.directory, cache.plan, tracks[1], 1, 1);
  write_sample_shard(cache.directory, cache.plan, tracks[0], 0, 0);
  write_recipes(cache.directory, cache.plan, 0, 1, {sample_picture_hash({0, 2})});
  for (const std::string& directory : plan.relist) refresh_manifest(cache.directory / directory);
  for (const std::string& name : names) std::filesystem::remove(cache.path(name));
  CHECK((cache.files() == before));
  CHECK(cache.verify().findings.empty());
}

TEST_CASE("a cache with a damaged index or plan is not changed") {
  const SampleCache cache;
  cache.flip_chunk("index.h5", "label", 0);
  cache.flip_chunk(kFeatures + "00003.h5", "q", 0);
  const auto before = cache.files();
  const RepairPlan plan = plan_repair(cache.directory, cache.verify());
  CHECK(!plan.unrepairable.empty());
  CHECK(plan.set_aside.empty());
  CHECK_THROWS_AS(carry_out(cache.directory, plan), Error);
  const CommandResult result = run(repair_command(cache));
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, "nothing was changed"));
  CHECK((cache.files() == before));
}

TEST_CASE("a lost or wrong classes.json of logits that need it is reported, and all else is repaired") {
  const SampleCache cache;
  TrackInfo named = sample_tracks(cache.plan)[0];
  const std::vector<std::string> names{"e", "d", "c", "b", "a"};
  named.teacher.name = "named", named.class_names_sha256 = class_names_sha256(names);
  create_track(cache.directory, named);
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t shard = 0; shard < cache.plan.shards_per_pass(); ++shard)
      write_sample_shard(cache.directory, cache.plan, named, pass, shard);
  refresh_manifest(cache.directory / named.directory());
  const std::string file = std::string("named.aaaaaaaa/") + kTeacherClassesFile;
  const auto found = [&] {
    const VerifyReport report = cache.verify();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].file == file);
    CHECK(report.findings[0].remedy == Remedy::kCopy);
    CHECK(report.groups == (sample_tracks(cache.plan).size() + 1) * 2 * 3);  // the targets are read all the same
    return report.findings[0].what;
  };
  CHECK(has(found(), "is missing"));
  write_whole(cache.path(file), "[");
  found();
  std::filesystem::remove(cache.path(file));
  write_teacher_classes(cache.directory, "named.aaaaaaaa", {"a", "b", "c", "d", "e"});
  CHECK(has(found(), "has other class names"));
  cache.flip(named.directory() + "/00000.h5", 100);
  cache.flip_chunk(kFeatures + "00003.h5", "q", 0);
  const auto before = cache.files();
  const RepairPlan plan = plan_repair(cache.directory, cache.verify());
  CHECK(plan.unrepairable.empty());
  REQUIRE(plan.left.size() == 1);
  CHECK(plan.left[0].file == file);
  CHECK(plan.set_aside == std::vector<std::string>{named.directory() + "/00000.h5", kFeatures + "00003.h5"});
  CHECK(carry_out(cache.directory, plan).size() == 2);
  CHECK(cache.files().at(file) == before.at(file));
  std::filesystem::remove(cache.path(file));
  write_teacher_classes(cache.directory, "named.aaaaaaaa", names);
  CHECK(cache.verify().findings.empty());
  // Logits that record no names: the file is still read.
  write_whole(cache.path(kTiny + kTeacherClassesFile), "[");
  REQUIRE(cache.verify().findings.size() == 1);
  CHECK(cache.verify().findings[0].file == kTiny + kTeacherClassesFile);
}

TEST_CASE("valid files in a wrong place are not touched") {
  const SampleCache cache;
  std::filesystem::rename(cache.path(kLogits + "00000.h5"), cache.path(kLogits + "00007.h5"));
  refresh_manifest(cache.path(kLogits));
  write_whole(cache.path("notes/todo.h5"), "not ours");
  const auto before = cache.files();
  const CommandResult result = run("( " + repair_command(cache) + " --json 2> /dev/null )");
  CHECK(result.exit_code == 1);
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json["set_aside"].empty());
  REQUIRE(json["left"].size() == 1);
  CHECK(json["left"][0]["file"] == kLogits + "00007.h5");
  // Recipes of these views are missing; an extraction would make them.
  REQUIRE(json["gaps"].size() == 1);
  CHECK(json["gaps"][0]["directory"] == "recipes");
  CHECK((cache.files() == before));
}

TEST_CASE("each teacher's tracks get their own command, and lost recipes are made with whole passes") {
  const SampleCache cache;
  const std::string other = "other.aaaaaaaa/logits/";
  for (const std::string& file : {kLogits + "00002.h5", kTiny + "attention.3/00001.h5", other + "00000.h5"})
    write_whole(cache.path(file), "damaged");
  std::vector<std::string> commands = plan_repair(cache.directory, cache.verify()).commands;
  const std::string set = " --set cache=" + cache.directory.string() + " --set first_pass=";
  CHECK(commands ==
        std::vector<std::string>{"vitrine-extract CONFIG-other.aaaaaaaa.toml" + set +
                                     "0 --set passes=1 --set taps.logits=true --set taps.embedding=false --set "
                                     "'taps.features=[]' --set "
                                     "'taps.attention=[]'",
                                 "vitrine-extract CONFIG-tiny.aaaaaaaa.toml" + set +
                                     "0 --set passes=2 --set taps.logits=true --set taps.embedding=false --set "
                                     "'taps.features=[]' --set "
                                     "'taps.attention=[3]'"});
  // Only recipes are missing: the command names a track that is complete in that pass.
  const SampleCache lost;
  for (const TrackInfo& track : sample_tracks(lost.plan))
    if (track.directory() + "/" != kFeatures) std::filesystem::remove_all(lost.path(track.directory()));
  std::filesystem::remove(lost.path("recipes/00002.h5"));
  commands = plan_repair(lost.directory, lost.verify()).commands;
  REQUIRE(commands.size() == 1);
  CHECK(
      commands[0].ends_with("first_pass=1 --set passes=1 --set taps.logits=false --set taps.embedding=false --set "
                            "'taps.features=[3]' --set "
                            "'taps.attention=[]'"));
}

TEST_CASE("a track that another program wrote gets no command: that program writes it again") {
  const SampleCache cache;
  const TrackInfo own = written_track(cache.plan);
  create_track(cache.directory, own);
  for (std::uint32_t shard = 0; shard < 2; ++shard) write_sample_shard(cache.directory, cache.plan, own, 0, shard);
  refresh_manifest(cache.directory / own.directory());
  REQUIRE(cache.verify().findings.empty());
  write_whole(cache.path(own.directory() + "/00001.h5"), "damaged");
  RepairPlan plan = plan_repair(cache.directory, cache.verify());
  CHECK(plan.commands.empty());
  CHECK(plan.rewritten == std::vector<std::string>{"own.aaaaaaaa/logits"});
  write_whole(cache.path(kLogits + "00001.h5"), "damaged");
  plan = plan_repair(cache.directory, cache.verify());
  REQUIRE(plan.commands.size() == 1);
  CHECK_FALSE(has(plan.commands[0], "own.aaaaaaaa"));
  const CommandResult result = run(repair_command(cache));
  CHECK(has(result.output, "run the program that wrote own.aaaaaaaa/logits again (missing() of its"));
  CHECK(has(result.output, "with these commands"));

  // Lost recipes of a pass that this track alone has whole are made by an extraction, not for it.
  const SampleCache lost;
  create_track(lost.directory, own);
  for (std::uint32_t shard = 0; shard < 2; ++shard) write_sample_shard(lost.directory, lost.plan, own, 0, shard);
  for (const TrackInfo& track : sample_tracks(lost.plan)) std::filesystem::remove_all(lost.path(track.directory()));
  std::filesystem::remove(lost.path("recipes/00001.h5"));
  plan = plan_repair(lost.directory, lost.verify());
  CHECK(plan.rewritten.empty());
  REQUIRE(plan.commands.size() == 1);
  CHECK(plan.commands[0].ends_with("--set first_pass=0 --set passes=1 --recipes"));
  const std::vector<TrackInfo> extracted = sample_tracks(lost.plan);
  CHECK(prepare_command("cache", {own}).ends_with("--prepare --recipes"));
  CHECK(prepare_command("cache", extracted).ends_with("--prepare"));
}

TEST_CASE("a sound track.json that contradicts all shards stays, as they do; once it is moved, it is made again") {
  const SampleCache cache;
  const auto before = cache.files();
  const std::string json = read_whole(cache.path(kLogits + "track.json"));
  write_whole(cache.path(kLogits + "track.json"),
              with_new_check(std::string(json).replace(json.find("fp32"), 4, "bf16")));
  const VerifyReport report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].what ==
        "does not match its 4 shards: made_with.precision is \"bf16\", but \"fp32\" in the shards");
  CHECK(report.findings[0].remedy == Remedy::kMove);
  const auto before_repair = cache.files();
  RepairPlan plan = plan_repair(cache.directory, report);
  CHECK(plan.left.size() == 1);
  CHECK(plan.restore.empty());
  CHECK(plan.set_aside.empty());
  CHECK(plan.commands.empty());
  carry_out(cache.directory, plan);
  CHECK((cache.files() == before_repair));
  std::filesystem::remove(cache.path(kLogits + "track.json"));
  plan = plan_repair(cache.directory, cache.verify());
  CHECK(plan.restore == std::map<std::string, std::string>{{kLogits + "track.json", json}});
  carry_out(cache.directory, plan);
  CHECK((cache.files() == before));
}

TEST_CASE("only temporary files of dead writers are removed") {
  const SampleCache cache;
  const std::vector<std::string> left{kLogits + "00009.h5.part.elsewhere.12.ab.0", "plan.json.part.elsewhere.1.cd.3",
                                      "recipes/shards.json.part.elsewhere.12.ab.1",
                                      kTiny + "check.json.part.elsewhere.12.ab.4"};
  const std::vector<std::string> kept{kLogits + "notes.part.1.old", kFeatures + "00001.h5.part.elsewhere.12.ab.2"};
  for (const std::string& file : left) write_whole(cache.path(file), "half");
  for (const std::string& file : kept) write_whole(cache.path(file), "half");
  const auto old = std::filesystem::file_time_type::clock::now() - std::chrono::hours(25);
  for (const std::string& file : left) std::filesystem::last_write_time(cache.path(file), old);
  std::filesystem::last_write_time(cache.path(kept[0]), old);
  const auto before = cache.files();
  CommandResult result = run(repair_command(cache) + " --dry-run");
  CHECK(result.exit_code == 0);  // no damage
  for (const std::string& file : left) CHECK(has(result.output, "would remove " + file));
  CHECK((cache.files() == before));
  result = run("( " + repair_command(cache) + " --json 2> /dev/null )");
  CHECK(result.exit_code == 0);
  std::vector<std::string> sorted = left;
  std::ranges::sort(sorted);
  CHECK(nlohmann::json::parse(result.output)["abandoned"] == sorted);
  auto expected = before;
  for (const std::string& file : left) expected.erase(file);
  CHECK((cache.files() == expected));
}

TEST_CASE("something with a shard's name that is not a file is not touched") {
  const SampleCache cache;
  std::filesystem::remove(cache.path(kLogits + "00003.h5"));
  write_whole(cache.path(kLogits + "00003.h5/mine.txt"), "mine");
  write_whole(cache.path(kFeatures + "00001.h5"), "damaged");
  const CommandResult result = run("( " + repair_command(cache) + " --json 2> /dev/null )");
  CHECK(result.exit_code == 1);
  const auto json = nlohmann::json::parse(result.output);
  CHECK(json["set_aside"] == nlohmann::json{{kFeatures + "00001.h5", kFeatures + "00001.h5.damaged"}});
  REQUIRE(!json["left"].empty());
  for (const auto& left : json["left"]) {
    CHECK(left["file"] == kLogits + "00003.h5");
    CHECK(left["remedy"] == "move");
  }
  CHECK(std::filesystem::exists(cache.path(kLogits + "00003.h5/mine.txt")));
}

TEST_CASE("a dry run changes nothing and prints what would be done") {
  const SampleCache cache;
  cache.flip_chunk(kFeatures + "00002.h5", "q", 0);
  const auto before = cache.files();
  CommandResult result = run(executable("vitrine-cache") + " verify '" + cache.directory.string() + "'");
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, ": 1 finding\n"));
  result = run(repair_command(cache) + " --dry-run");
  CHECK(result.exit_code == 1);
  CHECK(has(result.output, "would set aside " + kFeatures + "00002.h5"));
  CHECK((cache.files() == before));
  result = run(repair_command(cache));
  CHECK(result.exit_code == 1);
  CHECK(result.output.find("set aside " + kFeatures + "00002.h5 as " + kFeatures + "00002.h5.damaged") !=
        std::string::npos);
  CHECK(has(result.output, "first_pass=1 --set passes=1"));
  CHECK(!std::filesystem::exists(cache.path(kFeatures + "00002.h5")));
  result = run(repair_command(cache));
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "nothing is damaged"));
  // Renamed files are not part of the cache, and are reported.
  for (const char* command : {"info", "verify"}) {
    const std::string words = executable("vitrine-cache") + " " + command + " '" + cache.directory.string() + "'";
    result = run(words);
    CHECK(result.exit_code == 0);
    CHECK(has(result.output, "1 file that was set aside as damaged"));
    CHECK(nlohmann::json::parse(run("( " + words + " --json 2> /dev/null )").output)["set_aside"] ==
          std::vector<std::string>{kFeatures + "00002.h5.damaged"});
  }
  // A second one beside it.
  write_whole(cache.path(kFeatures + "00002.h5"), "a stranger");
  CHECK(run(repair_command(cache)).exit_code == 1);
  CHECK(read_whole(cache.path(kFeatures + "00002.h5.damaged.2")) == "a stranger");
  CHECK(cache.verify().set_aside.size() == 2);
}
