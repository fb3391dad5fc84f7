// Arithmetic differs between cards, CPUs, library versions and micro-batches. What a track was begun with stands in its
// track.json; adding to it from another kind is refused unless the user asked for it.
#ifndef VITRINE_EXTRACT_MIXED_H_
#define VITRINE_EXTRACT_MIXED_H_

#include <filesystem>

#include "common/cache/track.h"

namespace vitrine {

/// `track`, as this run would make it, with the arithmetic that the cache's track.json names, where there is one:
/// track.json stays as it is, and the shards say in "made_with" what really made them. Throws Error that names every
/// field that differs with both values, unless `allow_mixed`. Precision is never mixed: like other differences it is
/// left for who compares whole tracks (compare.h).
TrackInfo with_arithmetic_of_cache(const std::filesystem::path& cache, TrackInfo track, bool allow_mixed);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_MIXED_H_
