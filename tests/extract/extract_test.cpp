#include <signal.h>
#include <sys/stat.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/config/config.h"
#include "common/image/views.h"
#include "extract/run/extractor.h"
#include "extract/options.h"
#include "tests/extract/equal_files.h"
#include "tests/extract/fixture.h"
#include "tests/extract/interrupted.h"
#include "tests/support/message.h"
#include "tests/support/signals.h"

using namespace vitrine;
using vitrine::testing::check_equal;
using vitrine::testing::CommandResult;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;
using vitrine::testing::kBySignal;
using vitrine::testing::read_whole;

namespace {

// inode and change time, which differ for a rewritten file
std::string identity(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return text(status.st_ino, " ", status.st_mtim.tv_sec, " ", status.st_mtim.tv_nsec);
}

int interrupted(const ExtractFixture& fixture, const std::string& cache, const std::vector<std::string>& settings,
                int signal, const std::string& place) {
  return vitrine::testing::interrupted_command(fixture, fixture.command(cache, settings), signal, place);
}

}  // namespace

TEST_CASE("the bytes of a cache do not depend on workers, on parts or on earlier files") {
  const ExtractFixture fixture;
  const CommandResult whole = fixture.extract("whole", {"workers=1"});
  CAPTURE(whole.output);
  REQUIRE(whole.exit_code == 0);
  CHECK(has(whole.output, "top-1"));
  CHECK(has(whole.output, "4 new shards, 32 views"));
  for (const char* figure : {"relative error ", "KL ", "top-1 agreement ", "total variation "})
    CHECK(has(whole.output, figure));
  const auto expected = fixture.files("whole");
  // Recipes and four tracks of two shards in each of two passes, each with its shards.json; index.h5, its
  // record, plan.json, prepared.json, four times track.json, a basis of each of two feature tracks, and check.json.
  CHECK(fixture.shards("whole").size() == 5 * 4);
  CHECK(expected.size() == 5 * (4 + 1) + 4 + 4 + 2 + 1);

  REQUIRE(fixture.extract("workers", {"workers=4"}).exit_code == 0);
  check_equal(expected, fixture.files("workers"));

  {  // Two parts.
    REQUIRE(fixture.prepare("parts").exit_code == 0);
    REQUIRE(fixture.extract("parts", {"part=2/2"}).exit_code == 0);
    CHECK(fixture.shards("parts").size() == 5 * 2);
    REQUIRE(fixture.extract("parts", {"part=1/2"}).exit_code == 0);
    check_equal(expected, fixture.files("parts"));
  }
  {  // One pass after the other.
    REQUIRE(fixture.extract("passes", {"passes=1", "first_pass=1"}).exit_code == 0);
    CHECK(fixture.shards("passes").size() == 5 * 2);
    REQUIRE(fixture.extract("passes", {"passes=1"}).exit_code == 0);
    check_equal(expected, fixture.files("passes"));
  }
  {  // A track that is added later.
    REQUIRE(fixture.extract("added", {"taps.features=[]", "taps.attention=[]"}).exit_code == 0);
    CHECK(fixture.shards("added").size() == 2 * 4);
    REQUIRE(fixture.extract("added").exit_code == 0);
    check_equal(expected, fixture.files("added"));
  }
  {  // Only missing files are made.
    std::string first, last;
    for (const std::string& name : fixture.shards("workers")) {
      if (name == "recipes/00001.h5") first = name;
      if (name.find("features.1/") != std::string::npos) last = name;
    }
    REQUIRE(!first.empty());
    REQUIRE(!last.empty());
    std::map<std::string, std::string> before;
    std::filesystem::remove(fixture.root / "workers" / first);
    std::filesystem::remove(fixture.root / "workers" / last);
    for (const auto& [name, bytes] : fixture.files("workers")) before[name] = identity(fixture.root / "workers" / name);
    const CommandResult again = fixture.extract("workers");
    CAPTURE(again.output);
    REQUIRE(again.exit_code == 0);
    CHECK(has(again.output, "2 new shards, 16 views"));
    check_equal(expected, fixture.files("workers"));
    for (const auto& [name, was] : before) CHECK(identity(fixture.root / "workers" / name) == was);

    std::filesystem::remove(fixture.root / "workers" / last);
    CHECK(has(fixture.extract("workers").output, "1 new shard, "));
    const CommandResult nothing = fixture.extract("workers");
    CHECK(nothing.exit_code == 0);
    CHECK(has(nothing.output, "0 new shards"));
  }
}

TEST_CASE("a killed or stopped run resumes where it was") {
  const ExtractFixture fixture;
  const std::vector<std::string> long_run{"passes=8"};
  REQUIRE(fixture.extract("whole", long_run).exit_code == 0);
  const auto expected = fixture.files("whole");

  REQUIRE(interrupted(fixture, "killed", long_run, SIGKILL, "shard 2") == kBySignal + SIGKILL);
  // What a writer on another machine left when it died in a file, long ago.
  const std::filesystem::path half = fixture.root / "killed" / "recipes" / "00015.h5.part.0123456789abcdef.7.8.0";
  vitrine::testing::write_whole(half, "half a file");
  std::filesystem::last_write_time(half, std::filesystem::file_time_type::clock::now() - std::chrono::hours(25));
  CHECK(fixture.shards("killed").size() == 5 + 1);  // one complete shard, and the recipes of the next
  // It was killed before listing one file, the only one that is read again.
  const CommandResult goes_on = fixture.extract("killed", long_run);
  CAPTURE(goes_on.output);
  REQUIRE(goes_on.exit_code == 0);
  CHECK(has(goes_on.output, "recipes: 1 finished files are in no list; reading them"));
  CHECK(goes_on.output.find("finished files") == goes_on.output.rfind("finished files"));
  check_equal(expected, fixture.files("killed"));

  CHECK(interrupted(fixture, "stopped", long_run, SIGTERM, "shard 1") == 130);
  CHECK(has(read_whole(fixture.root / "errors.txt"), "run the same command again"));
  CHECK(has(read_whole(fixture.root / "errors.txt"), "stopping: "));
  const auto stopped = fixture.shards("stopped");
  CHECK(stopped.size() % 5 == 0);  // complete shards only: the one being written, and those in progress
  CHECK(stopped.size() >= 5);
  CHECK(stopped.size() <= 5 * 3);
  REQUIRE(fixture.extract("stopped", long_run).exit_code == 0);
  check_equal(expected, fixture.files("stopped"));

  // When the last shard is in work, nothing further is begun anyway.
  CHECK(interrupted(fixture, "last", long_run, SIGTERM, "shard 16") == 130);
  CHECK(has(read_whole(fixture.root / "errors.txt"), "stopped after 16 new shards; run the same command again"));
  CHECK(has(read_whole(fixture.root / "errors.txt"), "to resume: "));
  REQUIRE(fixture.extract("last", long_run).exit_code == 0);
  check_equal(expected, fixture.files("last"));
}

TEST_CASE("a stop within a large shard drops it after the group in work, and the same command makes its bytes") {
  at::set_num_threads(1);
  const ExtractFixture fixture;
  const std::vector<std::string> settings{
      "passes=1",         "plan.group=2",     "plan.shard_groups=64", "teacher.micro_batch=2",
      "taps.features=[]", "taps.attention=[]"};
  REQUIRE(fixture.extract("whole", settings).exit_code == 0);
  REQUIRE(fixture.prepare("cache", settings).exit_code == 0);
  const auto prepared = fixture.files("cache");

  ExtractOptions options;
  load_config(fixture.config, settings, options);
  const Teacher teacher(options.teacher, options.taps);
  const Cache cache(fixture.root / "cache");
  const std::vector<ShardKey> shards = shards_of_part(cache.plan(), 0, 1, "1/1");
  REQUIRE(shards.size() == 1);
  REQUIRE(cache.plan().layout().span_of(shards[0]).groups == 8);
  // All pictures are gone, which counts them; the first that is missed requests the stop.
  const std::filesystem::path elsewhere = fixture.root / "elsewhere";
  std::filesystem::rename(fixture.images, elsewhere);
  StopFlag stop{false};
  const auto missed = std::make_shared<BadPictures>(BadImages::kSkip, cache.index().images.size(), 1.0);
  missed->on_new([&](const LeftOut&) { stop = true; });
  const ViewMaker views(fixture.images, cache.index_ptr(), options.plan.image_size, missed, {1});
  ReadyTracks ready = make_ready(teacher, views, cache.plan(), teacher.tracks(cache.plan()), {nullptr}, 1024, 1);
  const Extractor extractor(cache.directory(), cache.plan(), &teacher, views, std::move(ready), {}, 1);
  const Extractor::Made made = extractor.run(shards, stop, std::chrono::seconds(0));
  CHECK(made.stopped);
  CHECK(made.shards == 0);
  CHECK(missed->met().size() <= 2);  // of one group, of 15
  CHECK((fixture.files("cache") == prepared));

  std::filesystem::rename(elsewhere, fixture.images);
  REQUIRE(fixture.extract("cache", settings).exit_code == 0);
  check_equal(fixture.files("whole"), fixture.files("cache"));
}

TEST_CASE("every stop signal prints the exact command that resumes, which works") {
  const ExtractFixture fixture;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(signal);
    const CommandResult stopped =
        vitrine::testing::run_with_pending(signal, fixture.command("cache"), fixture.root / "log.txt");
    CAPTURE(stopped.output);
    CHECK(stopped.exit_code == 130);
    CHECK(has(stopped.output, "stopped while the images were listed"));
    const std::size_t at = stopped.output.find("to resume: ");
    REQUIRE(at != std::string::npos);
    const std::string command = stopped.output.substr(at + 10, stopped.output.find('\n', at) - at - 10);
    if (signal == SIGUSR1) CHECK(vitrine::testing::run(command).exit_code == 0);
  }
  CHECK(fixture.shards("cache").size() == 5 * 4);
}

TEST_CASE("a run killed repeatedly at any point leaves complete files, and ends with the same bytes") {
  const ExtractFixture fixture;
  const std::vector<std::string> long_run{"passes=8"};
  REQUIRE(fixture.extract("whole", long_run).exit_code == 0);
  const auto expected = fixture.files("whole");
  for (int moment = 0; moment < 14; ++moment) {
    CAPTURE(moment);
    // From the very first file, and later through the about four steps of each.
    REQUIRE(interrupted(fixture, "killed", long_run, SIGKILL, "step " + std::to_string(1 + 4 * moment)) ==
            kBySignal + SIGKILL);
    for (const auto& [name, bytes] : fixture.files("killed")) {
      CAPTURE(name);
      if (!name.ends_with(".h5")) continue;  // temporary files, and track.json, which grows
      REQUIRE(expected.contains(name));
      CHECK((expected.at(name) == bytes));
    }
  }
  CHECK(fixture.shards("killed").size() > 5);
  CHECK(fixture.shards("killed").size() < 5 * 16);
  REQUIRE(fixture.extract("killed", long_run).exit_code == 0);
  check_equal(expected, fixture.files("killed"));
}

TEST_CASE("when one of two processes on a cache dies, the rest completes the cache") {
  const ExtractFixture fixture;
  const std::vector<std::string> passes{"passes=6"};
  REQUIRE(fixture.extract("whole", passes).exit_code == 0);
  const auto expected = fixture.files("whole");
  const auto part = [&](const char* which) {
    std::vector<std::string> settings = passes;
    settings.push_back(std::string("part=") + which);
    return settings;
  };
  REQUIRE(fixture.prepare("cache", passes).exit_code == 0);
  CommandResult other{};
  std::thread beside([&] { other = fixture.extract("cache", part("1/2")); });
  const int killed = interrupted(fixture, "cache", part("2/2"), SIGKILL, "shard 2");
  beside.join();
  CAPTURE(other.output);
  CHECK(killed == kBySignal + SIGKILL);
  CHECK(other.exit_code == 0);
  CHECK(fixture.shards("cache").size() >= 5 * 6);
  const std::string flag = fixture.command("cache", passes) + " --part ";
  CHECK(has(vitrine::testing::run(flag + "3/2").output, "i/n"));
  // This time under a launcher.
  const CommandResult rest = vitrine::testing::run("RANK=1 WORLD_SIZE=2 " + flag + "auto");
  CAPTURE(rest.output);
  CHECK(rest.exit_code == 0);
  check_equal(expected, fixture.files("cache"));
  for (const auto& entry : std::filesystem::recursive_directory_iterator(fixture.root / "cache"))
    if (entry.path().filename() == kManifestName) {
      const std::optional<Manifest> manifest = Manifest::read(entry.path().parent_path());
      REQUIRE(manifest);
      CHECK(manifest->files().size() == 12);
      CHECK(compare_manifest(*manifest, entry.path().parent_path(), true).none());
    }
}

namespace {

// `before`: makes the run another kind of machine, or `setting` does. `word`: the field of made_with, with the value it
// then has.
void check_mixing(const std::string& before_command, const std::string& setting, const std::string& word,
                  const std::string& value) {
  const auto field = [&](const ComputeRecord& made_with) {
    return word == "micro_batch" ? std::to_string(made_with.micro_batch) : made_with.device.capability;
  };
  const ExtractFixture fixture;
  std::vector<std::string> first{"part=1/2"};
  if (!setting.empty()) first.push_back(setting);
  REQUIRE(vitrine::testing::run(before_command + fixture.command("cache", first) + " --prepare").exit_code == 0);
  REQUIRE(vitrine::testing::run(before_command + fixture.command("cache", first)).exit_code == 0);
  const auto before = fixture.files("cache");
  const CommandResult refused = fixture.extract("cache", {"part=2/2"});
  CAPTURE(refused.output);
  CHECK(refused.exit_code == 2);
  for (const std::string& part : {std::string("track.json"), word, value, std::string("--allow mixed")})
    CHECK(has(refused.output, part));
  CHECK((fixture.files("cache") == before));
  // Before images are read.
  const CommandResult early = fixture.extract("cache", {"part=2/2", "images=" + (fixture.root / "nowhere").string()});
  CAPTURE(early.output);
  for (const std::string& part : {word, value}) CHECK(has(early.output, part));

  const CommandResult allowed = vitrine::testing::run(fixture.command("cache", {"part=2/2"}) + " --allow mixed");
  CAPTURE(allowed.output);
  REQUIRE(allowed.exit_code == 0);
  for (const auto& [name, bytes] : before)
    if (!name.ends_with(kManifestName) && !name.ends_with(".jsonl")) CHECK((fixture.files("cache").at(name) == bytes));
  const CommandResult info = vitrine::testing::run(vitrine::testing::executable("vitrine-cache") + " info '" +
                                                   (fixture.root / "cache").string() + "'");
  CAPTURE(info.output);
  CHECK(has(info.output, "mixed arithmetic"));
  CHECK(has(info.output, word + " " + value));
  const Cache cache(fixture.root / "cache");
  REQUIRE(cache.tracks().size() == 4);
  for (const TrackInfo& track : cache.tracks()) {
    CAPTURE(track.name());
    CHECK(field(track.made_with) == value);
    const TrackReader reader(cache, track);
    std::vector<ShardNotes> notes;
    for (const std::uint64_t number : reader.shard_directory().numbers())
      notes.push_back(read_notes(Container(reader.shard_directory().directory() / shard_file_name(number))));
    const std::vector<ArithmeticKind> kinds = arithmetic_kinds(notes);
    REQUIRE(kinds.size() == 2);
    for (const ArithmeticKind& kind : kinds) {
      CHECK(kind.shards == 2);
      CHECK(kind.made_with.device.kind == "cpu");
    }
    CHECK((field(kinds[0].made_with) == value) != (field(kinds[1].made_with) == value));
    CHECK(reader.passes().size() == 2);
    TrackReader::Scratch scratch;
    std::vector<float> values(8 * track.view_values());
    for (std::uint32_t pass : {0u, 1u})
      for (std::uint32_t group : {0u, 1u}) reader.read({pass, group}, scratch, values);
  }
}

}  // namespace

TEST_CASE("a track begun on another kind of machine is continued only when allowed, and shards record it") {
  check_mixing("", "teacher.micro_batch=2", "micro_batch", "2");
  // Another instruction set, if this machine has more than one.
  if (at::get_cpu_capability() != "DEFAULT")
    check_mixing("ATEN_CPU_CAPABILITY=default ", "", "device.capability", "DEFAULT");
}

TEST_CASE("a cache gives back the teacher's values and the student the teacher's pixels") {
  at::set_num_threads(1);
  const ExtractFixture fixture;
  for (const std::string precision : {"fp32", "bf16"}) {
    CAPTURE(precision);
    const std::string set = "teacher.precision=" + precision;
    REQUIRE(fixture.extract(precision, {set}).exit_code == 0);
    ExtractOptions options;
    load_config(fixture.config, {set}, options);
    const Teacher teacher(options.teacher, options.taps);
    const Cache cache(fixture.root / precision);
    const ViewMaker views(fixture.images, cache.index_ptr(), options.plan.image_size);
    // Calibrated again, as by a live teacher: the bases equal the cache's.
    const ReadyTracks ready = make_ready(teacher, views, cache.plan(), teacher.tracks(cache.plan()),
                                         std::vector<std::shared_ptr<const FeatureBasis>>(4), 1024, 3);
    const std::vector<TrackInfo>& tracks = ready.tracks;
    REQUIRE(tracks.size() == 4);
    std::set<Mix> kinds;
    for (std::uint32_t pass = 0; pass < 2; ++pass)
      for (std::uint32_t group = 0; group < cache.plan().groups_per_pass(); ++group) {
        const std::vector<Recipe> recipes = cache.recipes({pass, group});
        CHECK((recipes == cache.plan().group(pass, group)));
        const std::vector<std::uint8_t> pictures = views.group(recipes, 32);
        constexpr std::size_t kView = 32 * 32 * 3;
        REQUIRE(pictures.size() == 8 * kView);
        kinds.insert(recipes[group % 8].mix);
        CHECK(picture_hash(std::span(pictures).subspan(group % 8 * kView, kView)) == cache.picture_hash({pass, group}));
        std::vector<std::vector<float>> live = teacher.run(pictures, 8);
        for (std::size_t t = 0; t < tracks.size(); ++t) {
          CAPTURE(tracks[t].name());
          const TrackReader reader(cache, cache.track(tracks[t].name()));
          CHECK((reader.track() == tracks[t]));
          CHECK((reader.passes() == std::vector<std::uint32_t>{0, 1}));
          TrackReader::Scratch scratch;
          std::vector<float> stored(8 * tracks[t].view_values());
          reader.read({pass, group}, scratch, stored);
          through_codec(*ready.codecs[t], 8, live[t]);
          REQUIRE(live[t].size() == stored.size());
          CHECK(std::memcmp(live[t].data(), stored.data(), stored.size() * sizeof(float)) == 0);
        }
      }
  }
}

TEST_CASE("each kind of track has its configured encoding, level and window") {
  const ExtractFixture fixture;
  const CommandResult made =
      fixture.extract("cache", {"taps.level=3", "taps.features_encoding=int8", "taps.features_level=-1",
                                "taps.attention_level=7", "taps.attention_window=12"});
  INFO(made.output);
  REQUIRE(made.exit_code == 0);
  const Cache cache(fixture.root / "cache");
  REQUIRE(cache.tracks().size() == 4);
  for (const TrackInfo& track : cache.tracks()) {
    CAPTURE(track.name());
    const Compression wanted = track.kind == "logits"     ? Compression{3}
                               : track.kind == "features" ? Compression{-1}
                                                          : Compression{7, 12};
    CHECK(track.compression == wanted);
    for (const std::string& name : fixture.shards("cache"))
      if (name.starts_with(track.directory()))  // a shard's copy says the same
        CHECK(nlohmann::json::parse(Container(fixture.root / "cache" / name).json()).at("track") ==
              nlohmann::json::parse(track.json()));
  }
  CHECK(fixture
            .extract("cache", {"taps.level=3", "taps.features_encoding=int8", "taps.features_level=-1",
                               "taps.attention_level=7"})
            .exit_code == 2);
}

TEST_CASE("every shard records its quantisation error, and features keep the bound in every group") {
  const ExtractFixture fixture;
  REQUIRE(fixture.extract("cache", {"taps.max_error=0.02"}).exit_code == 0);
  for (const std::string& name : fixture.shards("cache")) {
    if (name.starts_with("recipes")) continue;
    CAPTURE(name);
    const Container file(fixture.root / "cache" / name);
    const auto json = nlohmann::json::parse(file.json());
    const auto& loss = json.at("loss");
    if (json.at("track").at("kind") == "features") {
      CHECK(loss.at("centred_by") == "basis");
      CHECK(loss.at("relative_error").get<double>() > 0);
      CHECK(loss.at("worst_group").get<double>() <= 0.02);
      CHECK(loss.at("worst_group").get<double>() >= loss.at("relative_error").get<double>());
    } else if (json.at("track").at("kind") == "logits") {
      CHECK(loss.at("worst_kl_4").get<double>() < 1e-4);
      CHECK(loss.at("agreement").get<double>() > 0.5);
    } else {
      CHECK(loss.at("worst_total_variation").get<double>() < 0.02);
    }
  }
}

TEST_CASE("stored hashes are of the mixed pictures, for every kind of mixing") {
  const ExtractFixture fixture;
  const std::vector<std::string> kinds{"plan.mix_probability=0", "plan.cutmix_alpha=0", "plan.mixup_alpha=0"};
  const std::vector<Mix> expected{Mix::kNone, Mix::kMixUp, Mix::kCutMix};
  for (std::size_t kind = 0; kind < kinds.size(); ++kind) {
    CAPTURE(kinds[kind]);
    const std::string name = "mix" + std::to_string(kind);
    REQUIRE(fixture.extract(name, {kinds[kind], "taps.features=[]", "taps.attention=[]", "passes=4"}).exit_code == 0);
    const Cache cache(fixture.root / name);
    const ViewMaker views(fixture.images, cache.index_ptr(), 32);
    std::uint32_t seen = 0;
    for (std::uint32_t pass = 0; pass < 4; ++pass)
      for (std::uint32_t group = 0; group < 2; ++group) {
        const std::vector<Recipe> recipes = cache.recipes({pass, group});
        seen += recipes[group].mix == expected[kind] ? 1 : 0;
        const std::vector<std::uint8_t> pictures = views.group(recipes, 32);
        CHECK(picture_hash(std::span(pictures).subspan(group * 3072, 3072)) == cache.picture_hash({pass, group}));
      }
    CHECK(seen > 0);
  }
}

TEST_CASE("parts partition the shards") {
  const auto index = std::make_shared<ImageIndex>();
  index->classes = {"a", "b"};
  for (int i = 0; i < 5; ++i) index->images.push_back({.id = std::to_string(i), .height = 8, .width = 8});
  PlanOptions options;
  options.group = 2, options.shard_groups = 1;  // three shards per pass
  const Plan plan(index, options);
  for (const int n : {1, 2, 4, 7}) {
    std::multiset<std::pair<std::uint32_t, std::uint32_t>> all;
    for (int i = 1; i <= n; ++i)
      for (const ShardKey& key : shards_of_part(plan, 4, 2, text(i, "/", n))) all.emplace(key.pass, key.shard);
    CHECK((all ==
           std::multiset<std::pair<std::uint32_t, std::uint32_t>>{{4, 0}, {4, 1}, {4, 2}, {5, 0}, {5, 1}, {5, 2}}));
  }
  for (const char* part : {"", "1", "/2", "1/", "0/2", "3/2", "1/0", "-1/2", "1/2x", " 1/2", "a/b", "99999999999/2"})
    CHECK_THROWS_WITH_AS(shards_of_part(plan, 0, 1, part), doctest::Contains("expected i/n"), Error);
}
