// What a track's groups may be at most, asked before anything is computed.
#ifndef VITRINE_COMMON_CACHE_LIMITS_H_
#define VITRINE_COMMON_CACHE_LIMITS_H_

#include <cstdint>
#include <string>

#include "common/cache/track.h"

namespace vitrine {

/// The largest plan.group, a multiple of `step`, of which a group of the track can be stored: every chunk is below 4
/// GiB, and a transform group has at most 2^29 values, a uniform one 2^30. 0: none. A transform track needs no basis
/// yet. Throws Error for settings that the track's encoding does not allow.
std::uint64_t largest_group(const TrackInfo& track, std::uint32_t step);

/// Throws Error that names plan.group, the track and the largest value that works, unless groups of `group` views can
/// be stored. `step`: what plan.group must be a multiple of.
void check_group(const TrackInfo& track, std::uint32_t group, std::uint32_t step);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_LIMITS_H_
