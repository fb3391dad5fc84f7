// What a track's shards say that its track.json is: each holds a copy. Private to this room.
#ifndef VITRINE_TOOLS_INSPECT_TRACK_COPY_H_
#define VITRINE_TOOLS_INSPECT_TRACK_COPY_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine {

struct TrackCopy {
  TrackInfo track;
  std::string json;          ///< the text of track.json
  std::uint64_t shards = 0;  ///< that say so
  std::uint64_t newer = 0;   ///< of a newer version, which say nothing
};

/// Reads the tables of all shards in a track's directory; those that cannot be read say nothing. Nothing is returned
/// when none says anything, when they do not all say the same, or when what they say is no track of this plan and
/// directory. Throws Error of kind kMemory when the machine has no memory or file handle left to look.
std::optional<TrackCopy> track_copy(const Plan& plan, const std::filesystem::path& directory);

/// "level is 2 there and 1 in the shards", for each key that differs; empty when none does.
std::string difference_words(const TrackInfo& there, const TrackCopy& copy);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_TRACK_COPY_H_
