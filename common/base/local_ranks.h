// Processes started on this machine by one launcher, and each one's share of the cores.
#ifndef VITRINE_COMMON_BASE_LOCAL_RANKS_H_
#define VITRINE_COMMON_BASE_LOCAL_RANKS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace vitrine {

/// An environment variable's value, or nullptr. std::getenv outside tests.
using Environment = std::function<const char*(const char*)>;
Environment process_environment();

/// The number in the environment variable `name`; nullopt if unset. Throws Error naming the variable if it is not a
/// non-negative integer.
std::optional<std::uint32_t> number_of(const Environment& environment, const char* name);

/// This process's rank among the launcher's processes on this machine.
struct LocalRank {
  std::uint32_t rank = 0;
  std::uint32_t count = 1;    ///< also 1 if the launcher does not set it
  std::string variable = {};  ///< where the rank came from: "LOCAL_RANK"
};

/// From LOCAL_RANK and LOCAL_WORLD_SIZE (torchrun), else from SLURM_LOCALID and SLURM_NTASKS_PER_NODE or
/// SLURM_STEP_TASKS_PER_NODE (srun); nullopt without a launcher. A Slurm batch script runs once and outside a step, so
/// it has no rank. Throws Error if a variable is not a number or the rank is not below the count.
std::optional<LocalRank> local_rank(const Environment& environment);

/// Cores available to this process: its CPU affinity, limited by its control group's CPU quota (rounded up); at least
/// 1.
std::uint32_t usable_cores();
/// Parses a control group's cpu.max, "QUOTA PERIOD" or "max PERIOD", into whole cores, rounded up; nullopt for no
/// limit.
std::optional<std::uint32_t> quota_cores(std::string_view cpu_max);

/// One launched process's share of `usable` cores: usable / count, at least 1. If srun bound each task to its own cores
/// (fewer than SLURM_CPUS_ON_NODE), they are not divided again.
std::uint32_t cores_of_rank(std::uint32_t usable, const Environment& environment);
/// Number of workers or threads where an option is 0: cores_of_rank(usable_cores()).
std::uint32_t default_threads();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_LOCAL_RANKS_H_
