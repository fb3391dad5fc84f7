#include "extract/part.h"

#include <ATen/ATen.h>

#include <map>
#include <string>

#include "common/base/error.h"
#include "common/cache/shard_directory.h"
#include "extract/memory.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"

using namespace vitrine;
using vitrine::testing::has;

namespace {

std::string resolved(const std::string& part, const std::map<std::string, std::string>& environment) {
  return resolve_part(part, [&](const char* name) {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

}  // namespace

TEST_CASE("part = auto takes rank and size from torchrun, else from srun; other values are unchanged") {
  CHECK(resolved("auto", {{"RANK", "0"}, {"WORLD_SIZE", "1"}}) == "1/1");
  CHECK(resolved("auto", {{"RANK", "3"}, {"WORLD_SIZE", "8"}}) == "4/8");
  CHECK(resolved("auto", {{"SLURM_PROCID", "7"}, {"SLURM_NTASKS", "8"}}) == "8/8");
  // torchrun under srun: one task per machine, several ranks in it.
  CHECK(resolved("auto", {{"RANK", "5"}, {"WORLD_SIZE", "16"}, {"SLURM_PROCID", "1"}, {"SLURM_NTASKS", "2"}}) ==
        "6/16");
  CHECK(resolved("2/3", {{"RANK", "0"}, {"WORLD_SIZE", "8"}}) == "2/3");
  CHECK(resolved("Auto", {{"RANK", "0"}, {"WORLD_SIZE", "8"}}) == "Auto");
}

TEST_CASE("auto without a launcher, or with half of one, is an error that names the variable") {
  const auto refused = [](const std::map<std::string, std::string>& environment, const char* words) {
    CAPTURE(words);
    CHECK_THROWS_WITH_AS(resolved("auto", environment), doctest::Contains(words), Error);
  };
  refused({}, "neither RANK and WORLD_SIZE nor SLURM_PROCID and SLURM_NTASKS");
  refused({{"RANK", "0"}}, "RANK is set, but not WORLD_SIZE");
  refused({{"SLURM_NTASKS", "2"}}, "SLURM_NTASKS is set, but not SLURM_PROCID");
  refused({{"RANK", "2"}, {"WORLD_SIZE", "2"}}, "RANK = 2 is not below WORLD_SIZE = 2");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "0"}}, "RANK = 0 is not below WORLD_SIZE = 0");
  refused({{"RANK", "-1"}, {"WORLD_SIZE", "2"}}, "RANK = \"-1\" is not a number");
  refused({{"RANK", "0"}, {"WORLD_SIZE", "two"}}, "WORLD_SIZE = \"two\" is not a number");
  refused({{"RANK", ""}, {"WORLD_SIZE", "2"}}, "RANK = \"\" is not a number");
}

TEST_CASE("passes whose shards would have numbers of more than ten digits are refused, with the most that works") {
  const auto index = std::make_shared<ImageIndex>();
  index->classes = {"a"};
  for (int i = 0; i < 30'000; ++i) index->images.push_back({.id = std::to_string(i), .height = 8, .width = 8});
  PlanOptions options;
  options.group = 2, options.shard_groups = 1;  // 15,000 shards per pass
  const Plan plan(index, options);
  REQUIRE(plan.shards_per_pass() == 15'000);
  const std::vector<ShardKey> last = shards_of_part(plan, 666'665, 1, "1/1");
  REQUIRE(last.size() == 15'000);
  CHECK(shard_number_of(shard_file_name(std::uint64_t{last.back().pass} * 15'000 + last.back().shard)));
  CHECK_THROWS_WITH_AS(shards_of_part(plan, 666'666, 1, "1/1"),
                       doctest::Contains("first_pass + passes may be 666666 at most"), Error);
  CHECK_THROWS_WITH_AS(shards_of_part(plan, 1, 666'666, "1/8"), doctest::Contains("at most ten digits"), Error);
  CHECK_THROWS_WITH_AS(shards_of_part(plan, 0, 600'000, "1/8"),
                       doctest::Contains("ask for at most 53333 passes at once"), Error);
}

TEST_CASE("a pass is described by its views and images, whose number the groups may not divide") {
  const auto index = std::make_shared<ImageIndex>();
  index->classes = {"a"};
  PlanOptions options;
  options.group = 8, options.shard_groups = 2;
  const auto words = [&](std::size_t images, std::uint32_t passes) {
    index->images.clear();
    for (std::size_t i = 0; i < images; ++i)
      index->images.push_back({.id = std::to_string(i), .height = 50, .width = 40});
    return words_of_passes(Plan(std::make_shared<const ImageIndex>(*index), options), passes);
  };
  CHECK(words(30, 2) ==
        "2 passes of 32 views (30 images, the last group filled up with the pass's first) in 2 shards each");
  CHECK(words(16, 1) == "1 pass of 16 views in 1 shard");
  CHECK(words(1, 1) == "1 pass of 8 views (1 image, the last group filled up with the pass's first) in 1 shard");
}

TEST_CASE("memory limits the workers; an extraction that does not fit with one worker is refused with the keys") {
  const auto index = std::make_shared<ImageIndex>();
  index->classes = {"a"};
  index->images.push_back({.id = "a", .height = 500, .width = 400});
  PlanOptions options;  // groups of 64 views, 64 of them in a shard
  const Plan plan(index, options);
  constexpr double kForward = 2e8;
  TrackInfo track;
  track.kind = "features", track.block = 11, track.shape = {1024, 14, 14};
  track.codec.encoding = Encoding::kFp32;
  const ExtractionMemory plain = extraction_memory(plan, kForward, {track, track, track, track});
  constexpr std::uint64_t kGroup = 4ull * 1024 * 14 * 14 * 64;  // 51 MB
  CHECK(plain.shards == 3 * 64 * 4 * kGroup);
  CHECK(plain.per_worker >= (2 * 4 + 2) * kGroup);  // every track raw twice, one decoded again
  CHECK(plain.per_worker <= (2 * 4 + 4) * kGroup + (std::uint64_t{1} << 30));
  track.codec = {.encoding = Encoding::kTransform, .max_error = 0.01};
  const ExtractionMemory coded = extraction_memory(plan, kForward, {track, track, track, track});
  CHECK(coded.shards < plain.shards / 10);
  CHECK(coded.per_worker == plain.per_worker);
  track.codec.max_error = 0.0001;
  CHECK(extraction_memory(plan, kForward, {track, track, track, track}).shards > coded.shards);

  track.codec = {.encoding = Encoding::kFp16}, track.shape = {4, 2, 2};
  CHECK(has(choose_workers(plan, 1e6, {track}, 1).sentence, ": 1 worker with "));
  CHECK(has(choose_workers(plan, 1e6, {track}, 2).sentence, ": 2 workers with "));
  const ExtractionMemory memory{100, 1000};
  CHECK(workers_that_fit(memory, 64, std::nullopt, options) == 64);
  CHECK(workers_that_fit(memory, 64, 100'000, options) == 64);
  CHECK(workers_that_fit(memory, 64, 2000, options) == 8);  // a tenth is left
  CHECK(workers_that_fit(memory, 64, 1222, options) == 1);
  try {
    workers_that_fit(memory, 64, 1221, options);
    FAIL("too little memory was enough");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kMemory);
    for (const char* word : {"plan.group = 64", "plan.shard_groups = 64", "with one worker", "1.2 KB are available"})
      CHECK(has(std::string(error.what()), word));
  }
}
