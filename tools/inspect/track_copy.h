// Recovers track.json from the copies in a track's shards. Private to this room.
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
  std::uint64_t shards = 0;  ///< with this copy
  std::uint64_t newer = 0;   ///< of a newer version, not counted in `shards`
};

/// Reads the tables of all shards in a track's directory, skipping unreadable ones. Returns nullopt if there are no
/// copies, if they differ, or if the copy is not a track of this plan and directory. Throws Error of kind kMemory when
/// memory or file handles run out.
std::optional<TrackCopy> track_copy(const Plan& plan, const std::filesystem::path& directory);

/// "level is 2 there and 1 in the shards", for each key that differs; empty when none does.
std::string difference_words(const TrackInfo& there, const TrackCopy& copy);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_TRACK_COPY_H_
