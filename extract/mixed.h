// Arithmetic differs between kinds of devices, instruction sets, library versions and micro-batches. What a track was
// begun with stands in its track.json; adding to it from another kind is refused unless the user asked for it.
#ifndef VITRINE_EXTRACT_MIXED_H_
#define VITRINE_EXTRACT_MIXED_H_

#include <filesystem>
#include <map>
#include <string>

#include "common/cache/track.h"

namespace vitrine {

/// The words of a track's provenance that name the arithmetic of a machine: device, cpu_capability, libtorch,
/// micro_batch.
std::map<std::string, std::string> arithmetic_of(const TrackInfo& track);

/// `track`, as this run would make it, with the arithmetic that the cache's track.json names, where there is one:
/// track.json stays as it is, and the shards say in "made_with" what really made them. Throws Error that names the
/// first word that differs, unless `allow_mixed`. Other differences are left for create_track() to find.
TrackInfo with_arithmetic_of_cache(const std::filesystem::path& cache, TrackInfo track, bool allow_mixed);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_MIXED_H_
