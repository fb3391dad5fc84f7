// Results differ in the last bits between GPUs, CPUs, library versions and micro-batches. A track's track.json records
// what it was begun with; continuing it with something else is refused unless the user allows it.
#ifndef VITRINE_EXTRACT_MIXED_H_
#define VITRINE_EXTRACT_MIXED_H_

#include <filesystem>

#include "common/cache/track.h"

namespace vitrine {

/// Returns `track` (as this run would make it) with the arithmetic of the cache's track.json, if there is one:
/// track.json does not change, and each shard's "made_with" records what made it. Also with that track.json's
/// "resampled_from", which follows from weights and architecture, and "class_names_sha256", which preparation compares
/// itself; earlier versions recorded neither. Throws Error with every field that differs and both values, unless
/// `allow_mixed`. Precision is never mixed: the comparison of whole tracks (compare.h) rejects it.
TrackInfo with_arithmetic_of_cache(const std::filesystem::path& cache, TrackInfo track, bool allow_mixed);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_MIXED_H_
