#include "common/cache/preparation.h"

#include "common/base/error.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

const std::string kPlan(64, 'a'), kOther(64, 'b');

Preparation sample() {
  Preparation out{kPlan};
  out.add("vit.0123abcd/logits", {0, 4});
  out.add("vit.0123abcd/features.11", {2, 1});
  return out;
}

ErrorKind kind_of_text(const std::string& json) {
  try {
    Preparation::from_json(json, "prepared.json");
  } catch (const Error& error) {
    CHECK(has(error.what(), "prepared.json: "));
    return error.kind();
  }
  FAIL("was read");
  return ErrorKind::kInternal;
}

}  // namespace

TEST_CASE("a preparation's text does not depend on the order in which passes were added") {
  Preparation one{kPlan}, other{kPlan};
  one.add("t/logits", {0, 8});
  one.add("t/features.1", {4, 1});
  for (const PassRange range : {PassRange{6, 2}, PassRange{0, 1}, PassRange{1, 3}, PassRange{3, 3}, PassRange{2, 1}})
    other.add("t/logits", range);
  other.add("t/features.1", {4, 1});
  CHECK(one == other);
  CHECK(one.json() == other.json());
  CHECK(Preparation::from_json(one.json(), "here") == one);
  other.add("t/logits", {9, 1});  // 8 is missing between
  CHECK((other.find("t/logits")->passes == std::vector<PassRange>{{0, 8}, {9, 1}}));
}

TEST_CASE("passes are covered when one range holds all of them") {
  const Preparation made = sample();
  const auto covers = [&](std::uint32_t first, std::uint32_t count) {
    return made.covers("vit.0123abcd/logits", {first, count});
  };
  CHECK(covers(0, 4));
  CHECK(covers(3, 1));
  CHECK_FALSE(covers(3, 2));
  CHECK_FALSE(covers(4, 1));
  CHECK_FALSE(made.covers("vit.0123abcd/attention.11", {0, 1}));
  CHECK_FALSE(made.covers("vit.0123abcd/features.11", {0, 4}));
}

TEST_CASE("recipes are prepared with each track, or alone") {
  Preparation made = sample();
  CHECK((made.recipe_passes() == std::vector<PassRange>{{0, 4}}));
  CHECK_FALSE(has(made.json(), "recipes"));
  made.add_recipes({4, 2});
  made.add_recipes({8, 1});
  CHECK((made.recipes == std::vector<PassRange>{{4, 2}, {8, 1}}));
  CHECK((made.recipe_passes() == std::vector<PassRange>{{0, 6}, {8, 1}}));
  CHECK(made.covers_recipes({3, 2}));
  CHECK_FALSE(made.covers_recipes({5, 2}));
  CHECK_FALSE(made.covers("vit.0123abcd/logits", {3, 2}));
  CHECK(Preparation::from_json(made.json(), "here") == made);
  CHECK_FALSE(Preparation{kPlan}.covers_recipes({0, 1}));
  const TemporaryDirectory directory;
  CHECK(shard_progress(directory.path(), made, 3).front().wanted == 21);
}

TEST_CASE("damaged, newer and foreign prepared.json are distinguished") {
  const std::string good = sample().json();
  const auto with = [&](const std::string& what, const std::string& instead) {
    std::string text = good;
    REQUIRE(has(text, what));
    return text.replace(text.find(what), what.size(), instead);
  };
  CHECK(kind_of_text(good.substr(0, good.size() / 2)) == ErrorKind::kCorrupt);
  CHECK(kind_of_text("[]") == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with("vitrine preparation", "vitrine plan")) == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with("\"version\": 1", "\"version\": 2")) == ErrorKind::kNewer);
  CHECK(kind_of_text(with("\"count\": 4", "\"count\": 0")) == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with("\"count\": 4", "\"count\": 4294967295.5")) == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with("\"first\": 2", "\"first\": 4294967295")) == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with("\"first\": 2", "\"first\": 2000000")) == ErrorKind::kCorrupt);
  for (const char* directory :
       {"", "logits", "/logits", "vit.0123abcd/", "../logits", "vit.0123abcd/..", "a/b/c", "a\\u0000/b"})
    CHECK(kind_of_text(with("vit.0123abcd/logits", directory)) == ErrorKind::kCorrupt);
  CHECK(kind_of_text(with(kPlan, "aa")) == ErrorKind::kCorrupt);
  CHECK(Preparation::from_json(with("\"version\": 1", "\"version\": 1,\n  \"new\": []"), "here") == sample());

  const TemporaryDirectory directory;
  CHECK_FALSE(read_preparation(directory.path(), kPlan));
  write_preparation(directory.path(), sample());
  CHECK(read_preparation(directory.path(), kPlan) == sample());
  const std::string refused = message_of([&] { read_preparation(directory.path(), kOther); });
  for (const char* word : {"prepared.json: ", "plan aaaaaaaa", "plan bbbbbbbb", "prepare this one again"})
    CHECK(has(refused, word));
  write_whole(directory / kPreparationFile, "{");
  CHECK(has(message_of([&] { read_preparation(directory.path(), kPlan); }),
            "remove the file and prepare the cache again"));
}

TEST_CASE("progress counts the shards of the prepared passes and names those that are missing") {
  const TemporaryDirectory directory;
  const Preparation preparation = sample();  // three shards per pass
  for (const int number : {0, 1, 2, 5, 6, 7})
    write_whole(directory / "vit.0123abcd" / "logits" / ("0000" + std::to_string(number) + ".h5"), "a shard");
  write_whole(directory / "recipes" / "00011.h5", "recipes");
  const std::vector<ShardProgress> progress = shard_progress(directory.path(), preparation, 3);
  REQUIRE(progress.size() == 3);
  CHECK(progress[0].directory == "recipes");
  CHECK((progress[0].passes == std::vector<PassRange>{{0, 4}}));
  CHECK(progress[0].there == 1);
  CHECK((progress[0].missing == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 10}}));
  CHECK(progress[1].directory == "vit.0123abcd/features.11");
  CHECK(progress[1].wanted == 3);
  CHECK((progress[1].missing == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{6, 8}}));
  CHECK(progress[2].wanted == 12);
  CHECK(progress[2].there == 6);
  CHECK((progress[2].missing == std::vector<std::pair<std::uint64_t, std::uint64_t>>{{3, 4}, {8, 11}}));
}
