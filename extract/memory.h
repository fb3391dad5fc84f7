// Estimates the peak memory of an extraction before it starts.
#ifndef VITRINE_EXTRACT_MEMORY_H_
#define VITRINE_EXTRACT_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine {

/// Estimates in bytes, in addition to the teacher and the index, which are already loaded. The memory of a forward
/// depends on model and machine; the rest is exact arithmetic.
struct ExtractionMemory {
  std::uint64_t per_worker = 0;  ///< pictures, one forward, raw and decoded values of one group
  std::uint64_t shards = 0;      ///< two shards of all tracks as stored, and the file image of one

  std::uint64_t total(std::uint32_t workers) const { return shards + workers * per_worker; }
};

/// `tracks`: none for recipes alone; transform tracks need no basis yet. `forward_bytes`: Teacher::forward_bytes(), 0
/// without a teacher.
ExtractionMemory extraction_memory(const Plan& plan, double forward_bytes, const std::vector<TrackInfo>& tracks);

/// How many of `wanted` workers fit into `available` bytes with a margin of a tenth; all when `available` is unknown.
/// Throws Error of kind kMemory that names plan.group and plan.shard_groups when not even one fits.
std::uint32_t workers_that_fit(const ExtractionMemory& memory, std::uint32_t wanted,
                               const std::optional<std::uint64_t>& available, const PlanOptions& plan);

/// The number of workers, and the note for the user.
struct WorkerChoice {
  std::uint32_t workers = 1;
  std::string sentence;
};
/// workers_that_fit() for the memory available now. `wanted` = 0: this process's share of the cores.
WorkerChoice choose_workers(const Plan& plan, double forward_bytes, const std::vector<TrackInfo>& tracks,
                            std::uint32_t wanted);

/// Approximate bytes per view of the track on disk, before zstd; in most cases an upper bound.
double stored_view_bytes(const TrackInfo& track);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_MEMORY_H_
