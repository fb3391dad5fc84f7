#include "extract/memory.h"

#include <algorithm>
#include <cmath>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/codec/codec.h"
#include "common/codec/make_codec.h"

namespace vitrine {
double stored_view_bytes(const TrackInfo& track) {
  const auto values = static_cast<double>(track.view_values());
  switch (track.codec.encoding) {
    case Encoding::kUniform:
      return 2 * values;
    case Encoding::kTransform:
      // A feature map takes 1 to 1.5 bits per value at an error of 1 %, and one bit more for each quartering of the
      // error.
      return values / 8 * (2 + std::max(0.0, std::log2(0.01 / track.codec.max_error) / 2));
    case Encoding::kFp32:
    case Encoding::kFp16:
    case Encoding::kInt8:
    case Encoding::kSqrt8:
    case Encoding::kTopk:
      break;
  }
  double bytes = 0;
  for (const ArrayLayout& array : make_codec(track.codec, track.shape)->layout())
    bytes += static_cast<double>(array.view_bytes());
  return bytes;
}

ExtractionMemory extraction_memory(const Plan& plan, double forward_bytes, const std::vector<TrackInfo>& tracks) {
  double all_values = 0, most_values = 0, stored = 0, image = 0;
  for (const TrackInfo& track : tracks) {
    const auto values = static_cast<double>(track.view_values());
    all_values += values;
    most_values = std::max(most_values, values);
    stored += stored_view_bytes(track);
  }
  for (const ImageEntry& entry : plan.index().images)
    image = std::max(image, 3.0 * entry.height * static_cast<double>(entry.width));
  const double group = plan.options().group,
               pictures = 3.0 * plan.options().image_size * plan.options().image_size * group;
  // Raw values as tensors and as vectors; for the track being encoded also concatenated, as coefficients, and decoded.
  constexpr double kCopies = 2, kCopiesInWork = 4, kShards = 3;
  return {static_cast<std::uint64_t>(2 * image + pictures + forward_bytes +
                                     4 * group * (kCopies * all_values + kCopiesInWork * most_values)),
          static_cast<std::uint64_t>(kShards * plan.options().shard_groups * group * stored)};
}

std::uint32_t workers_that_fit(const ExtractionMemory& memory, std::uint32_t wanted,
                               const std::optional<std::uint64_t>& available, const PlanOptions& plan) {
  if (!available) return wanted;
  const std::uint64_t budget = *available - *available / 10;
  const auto bytes = [](std::uint64_t number) { return human_bytes(static_cast<double>(number)); };
  if (memory.total(1) > budget)
    throw Error(
        ErrorKind::kMemory,
        {.what = text("extraction needs about ", bytes(memory.total(1)), " of memory with one worker (",
                      bytes(memory.shards), " for two shards and a file of plan.shard_groups = ", plan.shard_groups,
                      " groups, ", bytes(memory.per_worker), " for a group of plan.group = ", plan.group,
                      " views), and ", bytes(*available), " are available"),
         .remedy = "choose a smaller plan.shard_groups or plan.group, fewer taps or smaller encodings, or a machine "
                   "with more memory"});
  return static_cast<std::uint32_t>(
      std::min<std::uint64_t>(wanted, (budget - memory.shards) / std::max<std::uint64_t>(1, memory.per_worker)));
}

WorkerChoice choose_workers(const Plan& plan, double forward_bytes, const std::vector<TrackInfo>& tracks,
                            std::uint32_t wanted) {
  if (wanted == 0) wanted = default_threads();
  const ExtractionMemory memory = extraction_memory(plan, forward_bytes, tracks);
  const std::optional<std::uint64_t> available = available_memory();
  const std::uint32_t workers = workers_that_fit(memory, wanted, available, plan.options());
  const auto bytes = [](std::uint64_t number) { return human_bytes(static_cast<double>(number)); };
  return {
      workers,
      text("memory: about ", bytes(memory.total(workers)),
           available ? text(" of ", bytes(*available), " available") : "", ": ", counted(workers, "worker"), " with ",
           bytes(memory.per_worker), workers == 1 ? "" : " each", ", ", bytes(memory.shards), " for shards",
           workers < wanted ? text("; ", wanted, " workers would need ", bytes(memory.total(wanted))) : "")};
}

}  // namespace vitrine
