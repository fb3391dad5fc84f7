// Which groups an epoch visits, in which order, on which rank: a pure function, so that every rank knows its part and
// a resumed run goes on in the middle of an epoch.
#ifndef VITRINE_COMMON_PLAN_EPOCH_H_
#define VITRINE_COMMON_PLAN_EPOCH_H_

#include <cstdint>
#include <vector>

#include "common/plan/shard_layout.h"

namespace vitrine {

/// The groups of one rank in one epoch, ceil(groups_per_pass / world) for every rank. An epoch is one of `passes`: a
/// cycle of as many epochs uses each pass once, in an order drawn anew for each cycle. Step s of the epoch is entry s
/// of all ranks; together they cover the pass, and where it does not divide, the last step takes the first ones' groups
/// again. The order in which `passes` are given does not matter. Throws Error when there is none.
std::vector<GroupKey> epoch_order(std::uint64_t seed, std::uint32_t epoch, std::uint32_t groups_per_pass,
                                  const std::vector<std::uint32_t>& passes, std::uint32_t rank = 0,
                                  std::uint32_t world = 1);

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_EPOCH_H_
