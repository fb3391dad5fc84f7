// The groups an epoch visits, their order and their distribution over ranks. A pure function, so a run can resume in
// the middle of an epoch.
#ifndef VITRINE_COMMON_PLAN_EPOCH_H_
#define VITRINE_COMMON_PLAN_EPOCH_H_

#include <cstdint>
#include <vector>

#include "common/plan/shard_layout.h"

namespace vitrine {

/// The groups of one rank in one epoch: ceil(groups_per_pass / world) of them, for every rank. Each epoch uses one of
/// `passes`; every passes.size() epochs use each pass once, in an order redrawn for each such cycle. Step s of the
/// epoch processes entry s of every rank. The ranks together cover the pass; if it does not divide evenly, the last
/// step wraps around to the first groups. The order of `passes` does not matter. Throws Error if `passes` is empty.
std::vector<GroupKey> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint32_t groups_per_pass,
                                  const std::vector<std::uint32_t>& passes, std::uint32_t rank = 0,
                                  std::uint32_t world = 1);

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_EPOCH_H_
