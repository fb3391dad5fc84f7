// How many groups may be made ahead of the trainer, by the memory that they take.
#ifndef VITRINE_TRAIN_DATA_PREFETCH_H_
#define VITRINE_TRAIN_DATA_PREFETCH_H_

#include <cstdint>
#include <optional>

#include "train/data/stream.h"
#include "train/targets/source.h"

namespace vitrine {

/// Bytes of one GroupBatch, with the pictures at the teacher's size where the source needs them.
std::uint64_t group_batch_bytes(const TargetSource& source, int size);

/// `options.ahead`, or as many groups as fit into a quarter of `available` bytes where those are fewer, at least 2: one
/// in work, one waiting. The order of groups and what they hold do not depend on it.
std::uint32_t groups_ahead(const StreamOptions& options, const TargetSource& source,
                           const std::optional<std::uint64_t>& available);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_PREFETCH_H_
