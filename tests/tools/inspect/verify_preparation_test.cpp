// prepared.json under verify and repair.
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/cache/preparation.h"
#include "common/image/index_record.h"
#include "tests/support/message.h"
#include "tests/tools/inspect/damaged.h"
#include "tools/inspect/repair.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// The sample as an extraction leaves it.
struct PreparedCache : SampleCache {
  Preparation preparation{plan.hash()};

  PreparedCache() {
    for (const TrackInfo& track : sample_tracks(plan)) preparation.add(track.directory(), {0, 2});
    write_preparation(directory, preparation);
    write_index_record(directory, std::string(64, '0'), {});
  }

  /// Verify's one finding.
  Finding finding() const {
    const VerifyReport report = verify();
    REQUIRE(report.findings.size() == 1);
    CHECK(report.findings[0].file == kPreparationFile);
    return report.findings[0];
  }
  void write(const std::string& text) const { write_whole(path(kPreparationFile), text); }
  std::string with(const std::string& what, const std::string& instead) const {
    std::string text = preparation.json();
    REQUIRE(has(text, what));
    return text.replace(text.find(what), what.size(), instead);
  }
};

}  // namespace

TEST_CASE("a prepared cache that is whole has no findings, and prepared.json is among the files looked at") {
  const PreparedCache cache;
  const VerifyReport report = cache.verify();
  CHECK(report.findings.empty());
  CHECK(report.incomplete.empty());
  CHECK(report.files == cache.files().size() - 1);  // but for index_record.json
}

TEST_CASE("a damaged prepared.json is set aside, and the command that prepares again is printed") {
  const PreparedCache cache;
  const std::string beyond = R"("passes": [{"first": 0, "count": 1, "x": [[[[)";
  for (const std::string& text :
       {std::string(), std::string("{"), std::string("[]"), cache.preparation.json().substr(0, 200),
        cache.with("\"count\": 2", "\"count\": 2.5"), cache.with("\"first\": 0", "\"first\": -1"),
        cache.with("\"count\": 2", "\"count\": 4000000000"), cache.with("tiny.aaaaaaaa/", "../"), beyond}) {
    CAPTURE(text);
    cache.write(text);
    CHECK(cache.finding().remedy == Remedy::kRemake);
    const auto before = cache.files();
    const RepairPlan plan = plan_repair(cache.directory, cache.verify());
    CHECK(plan.set_aside == std::vector<std::string>{kPreparationFile});
    CHECK(plan.gaps.empty());
    CHECK(plan.left.empty());
    REQUIRE(plan.commands.size() == 1);
    CHECK(plan.commands[0] == "vitrine-extract CONFIG.toml --set cache=" + cache.directory.string() + " --prepare");
    CHECK((cache.files() == before));
    const std::string aside = carry_out(cache.directory, plan).at(kPreparationFile);
    CHECK(aside.starts_with("prepared.json.damaged"));
    auto expected = before;
    expected[aside] = expected.at(kPreparationFile);
    expected.erase(kPreparationFile);
    CHECK((cache.files() == expected));
    CHECK(has(cache.finding().what, "is missing"));
  }
  write_preparation(cache.directory, cache.preparation);
  CHECK(cache.verify().findings.empty());
}

TEST_CASE("a prepared.json that is missing is a finding where an extraction has prepared the cache, and only there") {
  const PreparedCache cache;
  std::filesystem::remove(cache.path(kPreparationFile));
  const Finding finding = cache.finding();
  CHECK(finding.remedy == Remedy::kRemake);
  CHECK(has(finding.what, "is missing, but index_record.json"));
  const RepairPlan plan = plan_repair(cache.directory, cache.verify());
  CHECK(plan.set_aside.empty());
  REQUIRE(plan.commands.size() == 1);
  CHECK(has(plan.commands[0], "--prepare"));
  const CommandResult words = run(executable("vitrine-cache") + " verify '" + cache.directory.string() + "'");
  CHECK(words.exit_code == 1);
  CHECK(has(words.output, "prepared.json"));
  write_index_record(cache.directory, std::string(64, '0'), {.copied = true});  // a cache that was recoded or unpacked
  CHECK(cache.verify().findings.empty());
  std::filesystem::remove(cache.path(kIndexRecordFile));  // or copied in part
  CHECK(cache.verify().findings.empty());
}

TEST_CASE("a prepared.json of another plan or a newer version, or one that cannot be read, stays where it is") {
  const PreparedCache cache;
  SUBCASE("of another plan") {
    cache.write(cache.with(cache.plan.hash(), std::string(64, 'b')));
    const Finding finding = cache.finding();
    CHECK(finding.remedy == Remedy::kMove);
    CHECK(has(finding.what, "is of plan bbbbbbbb"));
  }
  SUBCASE("of a newer version") {
    cache.write(cache.with("\"version\": 1", "\"version\": 2"));
    CHECK(cache.finding().remedy == Remedy::kNewer);
  }
  SUBCASE("a directory of that name") {
    std::filesystem::remove(cache.path(kPreparationFile));
    std::filesystem::create_directories(cache.path(kPreparationFile));
    CHECK(cache.finding().remedy != Remedy::kRemake);
  }
  const auto before = cache.files();
  const RepairPlan plan = plan_repair(cache.directory, cache.verify());
  CHECK(plan.set_aside.empty());
  CHECK(plan.left.size() == 1);
  carry_out(cache.directory, plan);
  CHECK((cache.files() == before));
}

TEST_CASE("with a damaged index or plan, a damaged prepared.json is still found") {
  const PreparedCache cache;
  cache.flip_chunk("index.h5", "height", 0);
  cache.write("{");
  std::map<std::string, Remedy> found;
  for (const Finding& finding : cache.verify().findings) found[finding.file] = finding.remedy;
  CHECK(found == std::map<std::string, Remedy>{{"index.h5", Remedy::kCopy}, {kPreparationFile, Remedy::kRemake}});
  const auto before = cache.files();
  CHECK(run(executable("vitrine-cache") + " repair '" + cache.directory.string() + "'").exit_code == 1);
  CHECK((cache.files() == before));
}

TEST_CASE("what prepared.json names and is missing is reported, but not as damage") {
  PreparedCache cache;
  SUBCASE("a track that was deleted") {
    std::filesystem::remove_all(cache.path(kLogits));
    const VerifyReport report = cache.verify();
    CHECK(report.findings.empty());
    REQUIRE(report.incomplete.size() == 2);
    for (std::uint32_t pass = 0; pass < 2; ++pass) {
      CHECK(report.incomplete[pass].directory + "/" == kLogits);
      CHECK(report.incomplete[pass].pass == pass);
      CHECK(report.incomplete[pass].missing == 2);
    }
    CHECK(cache.verify({.tracks = {"features.3"}}).incomplete.empty());
  }
  SUBCASE("passes that nothing was made of") {
    cache.preparation.add(kFeatures.substr(0, kFeatures.size() - 1), {4, 1});
    write_preparation(cache.directory, cache.preparation);
    const VerifyReport report = cache.verify();
    CHECK(report.findings.empty());
    REQUIRE(report.incomplete.size() == 2);
    CHECK(report.incomplete[0].directory == "recipes");
    CHECK(report.incomplete[1].directory + "/" == kFeatures);
    CHECK(report.incomplete[1].pass == 4);
  }
}
