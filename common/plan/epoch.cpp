#include "common/plan/epoch.h"

#include <algorithm>
#include <numeric>
#include <stdexcept>

#include "common/base/error.h"
#include "common/plan/draw.h"

namespace vitrine {

std::vector<GroupKey> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint32_t groups_per_pass,
                                  const std::vector<std::uint32_t>& passes, std::uint32_t rank, std::uint32_t world) {
  if (passes.empty()) fail("there is no complete pass to train on; run extract first, or let it finish a pass");
  if (groups_per_pass == 0 || rank >= world)
    throw std::invalid_argument(text("epoch_order: ", groups_per_pass, " groups, rank ", rank, " of ", world));

  std::vector<std::uint32_t> cycle = passes;
  std::sort(cycle.begin(), cycle.end());
  cycle.erase(std::unique(cycle.begin(), cycle.end()), cycle.end());
  const auto length = static_cast<std::uint32_t>(cycle.size());
  shuffle(cycle, RandomStream(seed, Purpose::kPassChoice, epoch / length));
  const std::uint32_t pass = cycle[epoch % length];

  std::vector<std::uint32_t> groups(groups_per_pass);
  std::iota(groups.begin(), groups.end(), 0u);
  shuffle(groups, RandomStream(seed, Purpose::kEpochOrder, epoch));

  std::vector<GroupKey> mine;
  for (std::uint64_t place = rank; mine.size() < (groups_per_pass - 1) / world + 1; place += world)
    mine.push_back({pass, groups[place % groups_per_pass]});
  return mine;
}

}  // namespace vitrine
