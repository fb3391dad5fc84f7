// Limits how many groups are prefetched, by the memory that they take.
#ifndef VITRINE_TRAIN_DATA_PREFETCH_H_
#define VITRINE_TRAIN_DATA_PREFETCH_H_

#include <cstdint>
#include <optional>

#include "train/data/stream.h"
#include "train/targets/source.h"

namespace vitrine {

/// Bytes of one view of a batch: the student's picture, of side `size`, and the targets.
std::uint64_t batch_view_bytes(const TargetShapes& shapes, int size);

/// Bytes of one GroupBatch, including the pictures at the teacher's size where the source needs them too.
std::uint64_t group_batch_bytes(const TargetSource& source, int size);

/// The smaller of `options.ahead` and the number of groups that fit into a quarter of `available` bytes, but at least 2
/// (one being made, one waiting). Does not affect the order or the content of groups.
std::uint32_t groups_ahead(const StreamOptions& options, const TargetSource& source,
                           const std::optional<std::uint64_t>& available);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_PREFETCH_H_
