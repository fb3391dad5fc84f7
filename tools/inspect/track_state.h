// What a cache holds of one track: its shards, and the loss that they record.
#ifndef VITRINE_TOOLS_INSPECT_TRACK_STATE_H_
#define VITRINE_TOOLS_INSPECT_TRACK_STATE_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/cache/track.h"

namespace vitrine {

/// A shard or track that cannot be read.
struct Unreadable {
  std::string where, what;
};

struct TrackState {
  const TrackInfo* info;  ///< not owned
  std::vector<std::uint32_t> passes;
  std::uint64_t shards, bytes, views;
  std::vector<ArithmeticKind> kinds;
  nlohmann::ordered_json loss;         ///< of all shards that record it (loss_summary.h)
  std::vector<Unreadable> unreadable;  ///< by the shards' names
  double bytes_per_view() const { return views == 0 ? 0 : static_cast<double>(bytes) / static_cast<double>(views); }
};

/// Reads the tables of all shards. `info`: one of cache.tracks(), which must outlive the result. Throws Error when the
/// track's basis cannot be read.
TrackState examine_track(const Cache& cache, const TrackInfo& info);

/// "vit.0123abcd", the directory of the track's teacher.
std::string teacher_directory(const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_TRACK_STATE_H_
