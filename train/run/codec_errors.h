// What the codec lost of a run's targets, as histograms in its events.
#ifndef VITRINE_TRAIN_RUN_CODEC_ERRORS_H_
#define VITRINE_TRAIN_RUN_CODEC_ERRORS_H_

#include <cstdint>
#include <filesystem>
#include <span>

#include "common/cache/track.h"
#include "common/plan/plan.h"
#include "train/run/event_file.h"

namespace vitrine {

/// Adds at step 0 a histogram "codec/TEACHER/TRACK/KEY" of each number that the shards of `passes` record of their
/// codec's error (FORMAT.md, "loss": relative_error, worst_group, kl_4, ...), one value per shard, of at most
/// kCodecErrorShards shards of a track, evenly spread. The cache does not keep the exact values, so these are all that
/// is known of it. Nothing for shards that are absent, damaged or without a record. Throws as EventFile does.
void add_codec_errors(EventFile& events, const std::filesystem::path& cache, std::span<const TrackInfo> tracks,
                      const Plan& plan, std::span<const std::uint32_t> passes);

constexpr std::size_t kCodecErrorShards = 256;

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_CODEC_ERRORS_H_
