// Several processes that write recipes of the same views while pictures fail: marks are never lost.
#include "extract/run/recipes.h"

#include <signal.h>
#include <sys/wait.h>
#include <ATen/ATen.h>
#include <unistd.h>

#include <algorithm>

#include "common/base/error.h"
#include "common/cache/cache.h"
#include "common/image/left_out.h"
#include "tests/extract/fixture.h"
#include "tests/support/message.h"

using namespace vitrine;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::ExtractFixture;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_whole;

namespace {

using Marks = std::vector<std::uint32_t>;

// A command line as a separate process, which stops itself before its first lock of a directory.
class StoppedProcess {
 public:
  StoppedProcess(const std::string& command, const std::filesystem::path& output) {
    const std::string line = "exec env SIGNAL_AT='" + std::to_string(SIGSTOP) + " lock 1' LD_PRELOAD='" +
                             executable("libsignal_at.so") + "' " + command + " > '" + output.string() + "' 2>&1";
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      ::execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      ::_exit(127);
    }
    int status = 0;
    REQUIRE(::waitpid(process_, &status, WUNTRACED) == process_);
    stopped_ = WIFSTOPPED(status);
    if (!stopped_) process_ = -1;
  }
  ~StoppedProcess() {
    if (process_ < 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }
  StoppedProcess(const StoppedProcess&) = delete;
  StoppedProcess& operator=(const StoppedProcess&) = delete;

  bool stopped() const { return stopped_; }
  /// Goes on to its end. Returns its exit code.
  int finish() {
    ::kill(process_, SIGCONT);
    int status = 0;
    REQUIRE(::waitpid(process_, &status, 0) == process_);
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t process_ = -1;
  bool stopped_ = false;
};

bool needs_one(const std::vector<Recipe>& recipes, std::size_t view, const std::vector<std::uint32_t>& images) {
  const auto is_one = [&](std::uint32_t image) { return std::ranges::find(images, image) != images.end(); };
  const Recipe& recipe = recipes[view];
  return is_one(recipe.image) || (recipe.mix != Mix::kNone && is_one(recipes[recipe.partner].image));
}

std::vector<float> values_of(const Cache& cache, const std::string& track, GroupKey key) {
  const TrackReader reader(cache, cache.track(track));
  TrackReader::Scratch scratch;
  std::vector<float> values(reader.track().view_values() * cache.plan().options().group);
  reader.read(key, scratch, values);
  return values;
}

// What is not marked is as sound as in the undisturbed cache.
void check_unmarked_are_sound(const Cache& cache, const Cache& whole, const std::string& track, GroupKey key) {
  const std::vector<Recipe> recipes = cache.recipes(key);
  const std::vector<float> values = values_of(cache, track, key), sound = values_of(whole, track, key);
  const std::size_t each = values.size() / recipes.size();
  for (std::size_t view = 0; view < recipes.size(); ++view) {
    CAPTURE(view);
    const auto begin = static_cast<std::ptrdiff_t>(view * each), end = begin + static_cast<std::ptrdiff_t>(each);
    const bool equal = std::equal(values.begin() + begin, values.begin() + end, sound.begin() + begin);
    CHECK((is_left_out(recipes[view]) || equal));
  }
}

}  // namespace

TEST_CASE("two processes that add tracks while other pictures fail to each: every blank view is marked") {
  const ExtractFixture fixture;
  const std::vector<std::string> common{"bad_images=skip", "taps.logits=false", "taps.features_encoding=fp32",
                                        "taps.attention_encoding=fp32"};
  const auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), common.begin(), common.end());
    return more;
  };
  const auto features = with({"taps.features=[0]", "taps.attention=[]"}),
             attention = with({"taps.features=[]", "taps.attention=[1]"});
  REQUIRE(fixture.extract("whole", with({"taps.features=[0]", "taps.attention=[1]"})).exit_code == 0);
  SUBCASE("recipes that are there") {
    REQUIRE(fixture.extract("cache", {"taps.features=[]", "taps.attention=[]"}).exit_code == 0);
  }
  SUBCASE("recipes that both make") {}
  for (const auto& taps : {features, attention}) REQUIRE(fixture.prepare("cache", taps).exit_code == 0);

  // Of two views of the first group, the one whose picture is hashed among them.
  const Cache whole(fixture.root / "whole");
  const std::vector<Recipe> first_group = whole.recipes({0, 0});
  const std::vector<std::uint32_t> failed{first_group[0].image, first_group[1].image};
  const std::string one_id = whole.index().images.at(failed[0]).id, other_id = whole.index().images.at(failed[1]).id;
  REQUIRE(one_id != other_id);
  const std::filesystem::path one = fixture.images / one_id, other = fixture.images / other_id,
                              away = fixture.root / "away.jpg", output = fixture.root / "first.txt";
  std::filesystem::rename(one, away);
  StoppedProcess first(fixture.command("cache", features), output);
  CAPTURE(read_whole(output));
  REQUIRE(first.stopped());  // its first shard is made, and its recipes are not published
  std::filesystem::rename(away, one);
  std::filesystem::rename(other, away);
  const CommandResult second = fixture.extract("cache", attention);
  CAPTURE(second.output);
  CHECK(second.exit_code == 0);
  std::filesystem::rename(away, other);
  CHECK(first.finish() == 0);
  CAPTURE(read_whole(output));

  const Cache cache(fixture.root / "cache");
  REQUIRE(cache.plan().hash() == whole.plan().hash());
  for (std::uint32_t pass = 0; pass < 2; ++pass)
    for (std::uint32_t group = 0; group < 2; ++group) {
      CAPTURE(pass);
      CAPTURE(group);
      const std::vector<Recipe> recipes = cache.recipes({pass, group});
      for (std::size_t view = 0; view < recipes.size(); ++view)
        CHECK(is_left_out(recipes[view]) == needs_one(recipes, view, failed));
      for (const char* track : {"features.0", "attention.1"})
        check_unmarked_are_sound(cache, whole, track, {pass, group});
    }
  const std::string list = read_whole(fixture.root / "cache" / kLeftOutFile);
  CHECK(has(list, "missing\t" + one_id));
  CHECK(has(list, "missing\t" + other_id));
  const CommandResult verified =
      vitrine::testing::run(executable("vitrine-cache") + " verify --images '" + fixture.images.string() + "' '" +
                            (fixture.root / "cache").string() + "'");
  CAPTURE(verified.output);
  CHECK(verified.exit_code == 0);
  CHECK(has(verified.output, "all is well"));
  CHECK(std::filesystem::exists(fixture.root / "cache/recipes/shards.json"));
}

TEST_CASE("marks of recipes are merged, and the hash is of the first view that nobody left out") {
  const ExtractFixture fixture;
  REQUIRE(fixture.prepare("cache").exit_code == 0);
  const std::filesystem::path directory = fixture.root / "cache";
  const Cache cache(directory);
  const ShardKey key{0, 0};  // one group, 0, whose first view is hashed
  std::vector<Marks> asked;
  const auto hash_of = [&](std::uint32_t group, std::span<const Recipe> recipes) -> std::uint64_t {
    CHECK(group == 0);
    asked.push_back(positions_left_out(recipes));
    return 12;
  };
  const auto merge = [&](std::uint64_t hash, const Marks& left_out) {
    return merge_recipes(directory, cache.plan(), key, {{hash}, {left_out}}, hash_of);
  };
  const auto check_there = [&](std::uint64_t hash, const Marks& left_out) {
    const RecordedViews there = recorded_views(directory, cache.plan(), 0, 0);
    CHECK(there.picture_hashes == std::vector<std::uint64_t>{hash});
    CHECK(there.left_out == std::vector<Marks>{left_out});
  };
  CHECK(merge(11, {0}).to_list);
  check_there(11, {0});
  CHECK(merge(11, {0}).to_list ==
        describe_file(directory / "recipes/00000.h5"));  // who wrote it may not have listed it
  CHECK(asked.empty());
  // The view that each has hashed is left out by the other.
  const MergedRecipes both = merge(10, {1});
  CHECK(both.views.left_out == std::vector<Marks>{{0, 1}});
  CHECK(asked == std::vector<Marks>{{0, 1}});
  check_there(12, {0, 1});
  CHECK(both.to_list == describe_file(directory / "recipes/00000.h5"));
  CHECK(merge(10, {}).views.left_out == std::vector<Marks>{{0, 1}});  // nothing is taken back
  merge(12, {0, 1, 5});
  check_there(12, {0, 1, 5});
  merge(13, {0, 1, 2});
  check_there(13, {0, 1, 2, 5});
  CHECK(asked.size() == 1);
  CHECK(has(message_of([&] { merge(14, {0, 1, 2}); }), "images are decoded in another way here"));
  check_there(13, {0, 1, 2, 5});
  merge(0, {0, 1, 2, 3, 4, 5, 6, 7});
  check_there(0, {0, 1, 2, 3, 4, 5, 6, 7});
}
