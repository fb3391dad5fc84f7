// Golden files: their values must not change, and damaged ones are refused. tests/tools/golden_test.py reads the same
// files in Python.
#include <cstdio>
#include <set>

#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/image/views.h"
#include "tests/faults/fuzz.h"
#include "tests/faults/golden.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// Valid files of newer formats, which must not be taken for damaged ones.
const std::set<std::string> kOfTheFuture{"bad_version.h5",        "bad_flags.h5",       "bad_basis_earlier.h5",
                                         "bad_plan_key.json",     "bad_track_key.json", "bad_plan_version.json",
                                         "bad_track_version.json"};
// Files of formats from before the first release.
const std::set<std::string> kOfThePast{"bad_version_earlier.h5", "bad_plan_version_earlier.json",
                                       "bad_track_version_earlier.json"};

ErrorKind kind_of_bad(const std::string& name) {
  if (kOfThePast.contains(name)) return ErrorKind::kInput;
  return kOfTheFuture.contains(name) ? ErrorKind::kNewer : ErrorKind::kCorrupt;
}

void check_good(const Outcome& outcome, const std::string& expected) {
  CHECK(outcome.error == "");
  if (expected.starts_with("sum ")) {
    CHECK(outcome.sum == doctest::Approx(std::stod(expected.substr(4))).epsilon(1e-5));
    return;
  }
  char hash[32];
  std::snprintf(hash, sizeof hash, "%016llx", static_cast<unsigned long long>(outcome.hash));
  CHECK(hash == expected);
}

}  // namespace

TEST_CASE("golden files give the values in their README's table") {
  const std::map<std::string, std::string> rows = golden_rows(kGolden);
  const Surroundings surroundings(kGolden);
  std::size_t files = 0, read = 0, refused = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kGolden))
    files += entry.path().extension() == ".h5" || entry.path().extension() == ".json";
  for (const auto& [name, expected] : rows) {
    if (name.starts_with("cache/")) continue;
    CAPTURE(name);
    const Outcome outcome = surroundings.read(kGolden / name);
    CAPTURE(outcome.error);
    if (name.starts_with("bad_")) {
      CHECK(outcome.error.starts_with((kGolden / name).string() + ": " + expected));
      CHECK(outcome.kind == kind_of_bad(name));
      ++refused;
    } else {
      check_good(outcome, expected);
    }
    ++read;
  }
  CHECK(read == files);
  CHECK(refused >= 25);
}

TEST_CASE("the golden cache is read completely, including pictures and lists of shards") {
  std::map<std::string, std::string> rows = golden_rows(kGolden);
  const Cache cache(kGolden / "cache");
  CHECK(cache.recipe_passes() == std::vector<std::uint32_t>{0});
  CHECK(cache.tracks().size() == 2);
  for (const TrackInfo& track : cache.tracks()) {
    CAPTURE(track.directory());
    REQUIRE(rows.contains("cache/" + track.directory()));
    check_good(read_track(cache, track), rows["cache/" + track.directory()]);
  }
  for (const std::string& directory :
       {std::string("recipes"), cache.tracks()[0].directory(), cache.tracks()[1].directory()}) {
    CAPTURE(directory);
    const auto manifest = Manifest::read(kGolden / "cache" / directory);
    REQUIRE(manifest.has_value());
    CHECK(manifest->files().size() == 1);
    CHECK(compare_manifest(*manifest, kGolden / "cache" / directory, true).none());
  }
  // The pictures made from these files today equal those that the teacher saw.
  const PlanOptions& options = cache.plan().options();
  const ViewMaker views(kGolden / "images", cache.index_ptr(), options.image_size);
  const std::size_t bytes = std::size_t{3} * options.image_size * options.image_size;
  std::set<Mix> kinds;
  for (std::uint32_t g = 0; g < cache.plan().groups_per_pass(); ++g) {
    const std::vector<Recipe> recipes = cache.recipes({0, g});
    CHECK(recipes == cache.plan().group(0, g));
    for (const Recipe& recipe : recipes) kinds.insert(recipe.mix);
    const auto pictures = views.group(recipes, static_cast<int>(options.image_size));
    CHECK(picture_hash(std::span(pictures).subspan(g % options.group * bytes, bytes)) == cache.picture_hash({0, g}));
  }
  CHECK(kinds.size() == 3);
}
