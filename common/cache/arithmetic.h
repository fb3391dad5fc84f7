// What really made the shards of a track, as they say themselves: one kind of arithmetic, unless kinds were mixed on
// purpose.
#ifndef VITRINE_COMMON_CACHE_ARITHMETIC_H_
#define VITRINE_COMMON_CACHE_ARITHMETIC_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/cache/track.h"

namespace vitrine {

struct ArithmeticKind {
  std::map<std::string, std::string> made_with;  ///< ShardNotes::made_with; empty in shards that do not say
  std::uint64_t shards = 0;
};

/// The kinds of a track's shards, ascending by their words. Reads every shard's table. Throws Error.
std::vector<ArithmeticKind> arithmetic_kinds(const std::filesystem::path& cache, const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_ARITHMETIC_H_
