// What really made the shards of a track, as they say themselves: one kind of arithmetic, unless kinds were mixed on
// purpose.
#ifndef VITRINE_COMMON_CACHE_ARITHMETIC_H_
#define VITRINE_COMMON_CACHE_ARITHMETIC_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/cache/container.h"
#include "common/cache/shard_draft.h"

namespace vitrine {

struct ArithmeticKind {
  ComputeRecord made_with;
  std::uint64_t shards = 0;

  bool operator==(const ArithmeticKind&) const = default;
};

/// The notes that a shard was written with. Throws Error for a file that is no shard or does not say what made it.
ShardNotes read_notes(const Container& shard);

/// The kinds of shards with these notes, ascending.
std::vector<ArithmeticKind> arithmetic_kinds(std::span<const ShardNotes> shards);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_ARITHMETIC_H_
