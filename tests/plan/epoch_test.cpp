#include "common/plan/epoch.h"

#include <algorithm>
#include <set>
#include <vector>

#include "common/base/error.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

TEST_CASE("an epoch visits each group of one pass once") {
  const auto order = epoch_order(3, 0, 20, {4});
  const std::set<GroupKey> seen(order.begin(), order.end());
  CHECK(order.size() == 20);
  CHECK(seen.size() == 20);
  CHECK(*seen.begin() == GroupKey{4, 0});
  CHECK(*seen.rbegin() == GroupKey{4, 19});
  CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
}

TEST_CASE("the order is a function of seed and epoch, and differs from epoch to epoch") {
  const auto groups = [](const std::vector<GroupKey>& order) {
    std::vector<std::uint32_t> out;
    for (const GroupKey& key : order) out.push_back(key.group);
    return out;
  };
  CHECK(epoch_order(3, 7, 20, {0, 1, 2}) == epoch_order(3, 7, 20, {2, 0, 1, 1}));
  CHECK(groups(epoch_order(3, 7, 20, {0})) != groups(epoch_order(3, 8, 20, {0})));
  CHECK(groups(epoch_order(3, 7, 20, {0})) != groups(epoch_order(4, 7, 20, {0})));
}

TEST_CASE("a cycle of epochs uses each pass once, in a different order in each cycle") {
  const std::vector<std::uint32_t> passes{0, 2, 3, 5, 8, 9};
  std::set<std::vector<std::uint32_t>> cycles;
  for (std::uint32_t cycle = 0; cycle < 4; ++cycle) {
    std::vector<std::uint32_t> used;
    for (std::uint32_t i = 0; i < 6; ++i) used.push_back(epoch_order(1, cycle * 6 + i, 3, passes)[0].pass);
    cycles.insert(used);
    std::sort(used.begin(), used.end());
    CHECK(used == passes);
  }
  CHECK(cycles.size() == 4);
}

TEST_CASE("all ranks take the same number of steps, and together are the single rank's order") {
  for (const std::uint32_t groups : {1u, 7u, 12u})
    for (const std::uint32_t world : {1u, 2u, 5u, 16u}) {
      CAPTURE(groups);
      CAPTURE(world);
      const auto whole = epoch_order(9, 2, groups, {0, 1});
      const std::size_t steps = (groups + world - 1) / world;
      std::set<GroupKey> covered;
      for (std::uint32_t rank = 0; rank < world; ++rank) {
        const auto mine = epoch_order(9, 2, groups, {0, 1}, rank, world);
        REQUIRE(mine.size() == steps);
        for (std::size_t step = 0; step < steps; ++step) CHECK(mine[step] == whole[(step * world + rank) % groups]);
        covered.insert(mine.begin(), mine.end());
      }
      CHECK(covered == std::set<GroupKey>(whole.begin(), whole.end()));
    }
}

TEST_CASE("an epoch without passes is refused") {
  CHECK_THROWS_AS(epoch_order(0, 0, 4, {}), Error);
  CHECK_THROWS_AS(epoch_order(0, 0, 4, {0}, 2, 2), std::invalid_argument);
  CHECK_THROWS_AS(epoch_order(0, 0, 0, {0}), std::invalid_argument);
}

}  // namespace
}  // namespace vitrine
