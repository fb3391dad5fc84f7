// Repair acts only on proven corruption: unreadable and newer files keep their bytes and names.
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/error.h"
#include "tests/faults/shards.h"
#include "tests/support/message.h"
#include "tests/support/ordinary_user.h"
#include "tests/support/skip.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/recode.h"
#include "tools/inspect/repair.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

std::atomic<ino_t> unreadable_inode = 0;
std::atomic<std::size_t> unreadable_bytes = 0;  // reads of this many bytes fail; 0: all

}  // namespace

// Overrides the C library's: reads of one file fail.
extern "C" ssize_t pread(int descriptor, void* buffer, size_t count, off_t offset) {
  struct stat status {};
  if (unreadable_inode != 0 && (unreadable_bytes == 0 || unreadable_bytes == count) &&
      fstat(descriptor, &status) == 0 && status.st_ino == unreadable_inode) {
    errno = EIO;
    return -1;
  }
  return syscall(SYS_pread64, descriptor, buffer, count, offset);
}

namespace {

std::string repair_command(const std::filesystem::path& directory) {
  return executable("vitrine-cache") + " repair '" + directory.string() + "'";
}

nlohmann::json repaired(const std::filesystem::path& directory, int exit_code) {
  const CommandResult result = run("( " + repair_command(directory) + " --json 2> /dev/null )");
  CAPTURE(result.output);
  CHECK(result.exit_code == exit_code);
  return nlohmann::json::parse(result.output);
}

// An unknown flag with a valid checksum.
void set_unknown_flag(const std::filesystem::path& shard) {
  std::string bytes = read_whole(shard);
  const auto flags = table::at<std::uint32_t>(bytes, table::kRequiredAt) | 1u << 31;
  std::memcpy(bytes.data() + table::kRequiredAt, &flags, sizeof flags);
  forge_checksums(bytes, false);
  write_whole(shard, bytes);
}

void replace_in(const std::filesystem::path& file, const std::string& from, const std::string& to) {
  std::string bytes = read_whole(file);
  REQUIRE(bytes.find(from) != std::string::npos);
  write_whole(file, bytes.replace(bytes.find(from), from.size(), to));
}

// Files that a newer version may have written: repair changes nothing, reports it, and has an exit code for it.
void check_left_as_newer(const std::filesystem::path& directory, const std::string& file, const std::string& words) {
  const auto files = [&] {
    std::map<std::string, std::string> out;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
      if (entry.is_regular_file()) out[entry.path().string()] = read_whole(entry.path());
    return out;
  };
  const auto before = files();
  const auto json = repaired(directory, exit_code(ErrorKind::kNewer));
  CHECK((files() == before));
  CHECK(json["set_aside"].empty());
  CHECK(json["gaps"].empty());
  CHECK(json["commands"].empty());
  bool told = false;
  for (const auto& left : json["left"]) {
    CHECK(left["remedy"] == "newer");
    told |= left["file"] == file && left["what"].get<std::string>().find(words) != std::string::npos;
  }
  CHECK(told);
  CHECK(run(executable("vitrine-cache") + " verify '" + directory.string() + "'").exit_code == 5);
  const CommandResult spoken = run(repair_command(directory));
  CHECK(spoken.exit_code == 5);
  CHECK(has(spoken.output, "left alone: " + file));
  CHECK(has(spoken.output, "use the version of vitrine that made it"));
}

}  // namespace

TEST_CASE("shards with an unknown required flag are not changed") {
  const SampleCache cache;
  set_unknown_flag(cache.path(kLogits + "00001.h5"));
  set_unknown_flag(cache.path("recipes/00002.h5"));
  check_left_as_newer(cache.directory, kLogits + "00001.h5", "needs features that this program does not know");
}

TEST_CASE("a track with a future encoding, setting, kind or version is not changed") {
  for (const auto& [from, to, words] :
       {std::tuple("\"encoding\": \"fp16\"", "\"encoding\": \"wavelet\"", "unknown encoding \"wavelet\""),
        std::tuple("\"level\": 1", "\"codec\": {\"wavelet\": 4}, \"level\": 1", "codec.wavelet is a setting"),
        std::tuple("\"kind\": \"logits\"", "\"kind\": \"tokens\"", "unknown kind of track \"tokens\""),
        std::tuple("\"version\": 2", "\"version\": 3", "has format version 3")}) {
    for (const bool shards_too : {true, false}) {
      CAPTURE(to);
      CAPTURE(shards_too);
      const SampleCache cache;
      replace_in(cache.path(kLogits + "track.json"), from, to);
      write_whole(cache.path(kLogits + "track.json"), with_new_check(read_whole(cache.path(kLogits + "track.json"))));
      if (shards_too)
        for (const char* shard : {"00000.h5", "00001.h5"}) set_unknown_flag(cache.path(kLogits + shard));
      check_left_as_newer(cache.directory, kLogits + "track.json", words);
    }
  }
}

TEST_CASE("a track.json with a right check is never renamed, whatever it says; one without is damage") {
  for (const auto& [from, to] : {std::pair("\"level\": 1", "\"level\": 99"), std::pair("\"shape\"", "\"form\"")}) {
    CAPTURE(to);
    const SampleCache cache;
    const std::string file = kLogits + "track.json";
    replace_in(cache.path(file), from, to);
    CHECK(plan_repair(cache.directory, cache.verify()).restore.contains(file));
    write_whole(cache.path(file), with_new_check(read_whole(cache.path(file))));
    const auto before = cache.files();
    const auto json = repaired(cache.directory, 1);
    REQUIRE(json["left"].size() == 1);
    CHECK(json["left"][0]["file"] == file);
    CHECK(json["left"][0]["remedy"] == "move");
    CHECK((cache.files() == before));
  }
  // A newer number without a check is contradicted by shards of this version.
  const SampleCache cache;
  const std::string file = kLogits + "track.json";
  replace_in(cache.path(file), "\"version\": 2", "\"version\": 3");
  replace_in(cache.path(file), "\"check\": \"", "\"check\": \"0");
  CHECK(plan_repair(cache.directory, cache.verify()).restore.contains(file));
}

TEST_CASE("payloads of a newer version are not changed") {
  const SampleCache sample;
  const Cache cache(sample.directory);
  RecodeOptions options{.to = sample.root / "small"};
  options.codec = {.encoding = Encoding::kTransform, .max_error = 0.05};
  const TrackInfo track = recode(cache, cache.track("features.3"), options).track;
  const TrackReader reader(Cache(options.to), track);
  std::vector<std::vector<Array>> groups;
  for (std::uint32_t g = 0; g < 2; ++g) {
    groups.push_back(reader.codec().encode(sample_values(sample.plan, track, {0, g}), 4));
    constexpr std::size_t kVersionAt = 10;  // FORMAT.md
    std::byte& version = groups.back()[0].bytes.at(kVersionAt);
    version = static_cast<std::byte>(std::to_integer<int>(version) + 1);
  }
  std::filesystem::remove(options.to / (kFeatures + "00000.h5"));
  write_shard(options.to, track, sample.plan, 0, 0, groups);
  std::filesystem::remove(options.to / (kFeatures + "shards.json"));
  refresh_manifest(options.to / kFeatures);
  check_left_as_newer(options.to, kFeatures + "00000.h5", "payload: has version");
}

TEST_CASE("damaged files are renamed even when others are newer") {
  const SampleCache cache;
  replace_in(cache.path(kLogits + "shards.json"), "\"version\": 1", "\"version\": 2");
  set_unknown_flag(cache.path(kLogits + "00000.h5"));
  cache.flip_chunk(kLogits + "00001.h5", "values", 0);
  auto expected = cache.files();
  expected[kLogits + "00001.h5.damaged"] = expected[kLogits + "00001.h5"];
  expected.erase(kLogits + "00001.h5");
  const auto json = repaired(cache.directory, 1);
  CHECK(json["set_aside"] == nlohmann::json{{kLogits + "00001.h5", kLogits + "00001.h5.damaged"}});
  CHECK(json["left"].size() == 2);
  CHECK(json["listed_again"].empty());
  CHECK((cache.files() == expected));
}

TEST_CASE("a plan or index of a newer version is not damage: nothing is changed") {
  for (const char* file : {"plan.json", "index.h5"}) {
    CAPTURE(file);
    const SampleCache cache;
    cache.flip_chunk(kLogits + "00001.h5", "values", 0);
    if (std::string(file) == "index.h5")
      set_unknown_flag(cache.path(file));
    else
      replace_in(cache.path(file), "\"seed\"", "\"hue\": 0.1, \"seed\"");
    const auto before = cache.files();
    const CommandResult result = run(repair_command(cache.directory));
    CHECK(result.exit_code == 1);  // something else is damaged
    CHECK(has(result.output, "nothing was changed"));
    CHECK((cache.files() == before));
  }
}

TEST_CASE("a shard without read permission is not damage: it stays, and repair reports it") {
  const SampleCache cache;
  cache.flip_chunk(kLogits + "00002.h5", "values", 0);
  open_to_all(cache.root.path());
  const std::vector<std::string> closed{kFeatures + "00001.h5", kLogits + "track.json", "recipes/00003.h5"};
  const auto before = cache.files();
  const auto result = [&] {
    for (const std::string& file : closed) std::filesystem::permissions(cache.path(file), std::filesystem::perms::none);
    auto out = run_as_ordinary_user(executable("vitrine-cache"), "repair --json '" + cache.directory.string() + "'");
    for (const std::string& file : closed) std::filesystem::permissions(cache.path(file), std::filesystem::perms::all);
    return out;
  }();
  if (!result) return skip("no ordinary user can run this build's programs here");
  CAPTURE(result->output);
  CHECK(result->exit_code == 1);
  const auto json = nlohmann::json::parse(result->output.substr(result->output.find('{')));  // after the progress
  CHECK(json["set_aside"] == nlohmann::json{{kLogits + "00002.h5", kLogits + "00002.h5.damaged"}});
  std::set<std::string> left;
  for (const auto& one : json["left"]) {
    CHECK(one["remedy"] == "retry");
    CHECK(has(one["what"].get<std::string>(), "Permission denied"));
    left.insert(one["file"].get<std::string>());
  }
  CHECK(left == std::set<std::string>(closed.begin(), closed.end()));
  auto now = cache.files();
  for (const std::string& file : closed) CHECK((now[file] == before.at(file)));
  CHECK((now[kLogits + "00002.h5.damaged"] == before.at(kLogits + "00002.h5")));
  CHECK(now.size() == before.size());
}

TEST_CASE("when only permission is missing, repair changes nothing and exits with the code of kIo") {
  for (const std::string& file :
       {kFeatures + "00001.h5", kFeatures, kTiny, std::string("recipes"), std::string("index.h5")}) {
    CAPTURE(file);
    const SampleCache cache;
    open_to_all(cache.root.path());
    const auto before = cache.files();
    std::filesystem::permissions(cache.path(file), std::filesystem::perms::none);
    const auto result = run_as_ordinary_user(executable("vitrine-cache"), "repair '" + cache.directory.string() + "'");
    std::filesystem::permissions(cache.path(file), std::filesystem::perms::all);
    if (!result) return skip("no ordinary user can run this build's programs here");
    CAPTURE(result->output);
    CHECK(result->exit_code == exit_code(ErrorKind::kIo));
    CHECK(has(result->output, "Permission denied"));
    CHECK((cache.files() == before));
  }
}

TEST_CASE("a read error is not damage of the shard") {
  const SampleCache cache;
  const std::string file = kFeatures + "00001.h5";
  const auto before = cache.files();
  struct stat status {};
  REQUIRE(stat(cache.path(file).c_str(), &status) == 0);
  unreadable_inode = status.st_ino;
  const VerifyReport report = cache.verify();
  const RepairPlan plan = plan_repair(cache.directory, report);
  carry_out(cache.directory, plan);
  unreadable_inode = 0;
  REQUIRE(!report.findings.empty());
  for (const Finding& finding : report.findings) {
    CHECK(finding.file == file);
    CHECK(finding.remedy == Remedy::kRetry);
    CHECK(has(finding.what, "Input/output error"));
  }
  CHECK(exit_code(report.findings) == exit_code(ErrorKind::kIo));
  CHECK(plan.set_aside.empty());
  CHECK(plan.gaps.empty());
  CHECK(plan.left.size() == report.findings.size());
  CHECK((cache.files() == before));
  CHECK(cache.verify().findings.empty());
}

TEST_CASE("a read error inside HDF5 only is not damage either") {
  const SampleCache cache;
  const std::string file = kFeatures + "00001.h5";
  struct stat status {};
  REQUIRE(stat(cache.path(file).c_str(), &status) == 0);
  unreadable_bytes = 8;  // HDF5's search for its signature
  unreadable_inode = status.st_ino;
  const VerifyReport report = cache.verify();
  unreadable_inode = 0;
  unreadable_bytes = 0;
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].file == file);
  CHECK(report.findings[0].what == "could not be read by HDF5 (HDF5 cannot open it)");
  CHECK(report.findings[0].remedy == Remedy::kRetry);
  CHECK(plan_repair(cache.directory, report).set_aside.empty());
}

TEST_CASE("recipes that a process replaced and died before it listed them are sound: repair lists them again") {
  const SampleCache cache;
  const RecordedViews views{{sample_picture_hash({0, 0}), sample_picture_hash({0, 1})}, {{1}, {}}};
  write_recipes(cache.directory, cache.plan, 0, 0, views, {}, Existing::kReplace);
  const VerifyReport report = cache.verify();
  REQUIRE(report.findings.size() == 1);
  CHECK(report.findings[0].file == "recipes/shards.json");
  CHECK(report.findings[0].remedy == Remedy::kRelist);
  auto expected = cache.files();
  const RepairPlan plan = plan_repair(cache.directory, report);
  CHECK(plan.set_aside.empty());
  carry_out(cache.directory, plan);
  auto now = cache.files();
  CHECK(now.at("recipes/shards.json") != expected.at("recipes/shards.json"));
  now.erase("recipes/shards.json"), expected.erase("recipes/shards.json");
  CHECK((now == expected));
  CHECK(cache.verify().findings.empty());
}

TEST_CASE("the exit code of findings is that of damage, else of unreadable files, else of newer ones") {
  const auto code = [](std::vector<Remedy> remedies) {
    std::vector<Finding> findings;
    for (const Remedy remedy : remedies) findings.push_back({.remedy = remedy});
    return exit_code(findings);
  };
  CHECK(code({}) == 0);
  CHECK(code({Remedy::kNewer}) == 5);
  CHECK(code({Remedy::kNewer, Remedy::kRetry}) == 3);
  CHECK(code({Remedy::kNewer, Remedy::kRetry, Remedy::kRemake}) == 1);
  for (const Remedy remedy :
       {Remedy::kRemake, Remedy::kRestore, Remedy::kRelist, Remedy::kCopy, Remedy::kMove, Remedy::kImages})
    CHECK(code({remedy}) == 1);
  CHECK(remedy_of(ErrorKind::kCorrupt, Remedy::kRemake) == Remedy::kRemake);
  for (const ErrorKind kind : {ErrorKind::kInput, ErrorKind::kIo, ErrorKind::kMemory, ErrorKind::kInternal})
    CHECK(remedy_of(kind, Remedy::kRemake) == Remedy::kRetry);
}
