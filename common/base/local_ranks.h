// Processes that a launcher started side by side on this machine, and each one's share of its cores.
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

/// A launcher's number in the variable `name`; none when it is not set. Throws Error that names the variable when it is
/// not a number from 0 on.
std::optional<std::uint32_t> number_of(const Environment& environment, const char* name);

/// This process among those of one launcher on this machine.
struct LocalRank {
  std::uint32_t rank = 0;
  std::uint32_t count = 1;    ///< 1 too when the launcher does not say
  std::string variable = {};  ///< that told the rank: "LOCAL_RANK"
};

/// From LOCAL_RANK and LOCAL_WORLD_SIZE (torchrun), else from SLURM_LOCALID and SLURM_NTASKS_PER_NODE or
/// SLURM_STEP_TASKS_PER_NODE (srun); none without a launcher. A Slurm batch script, which runs once, has none: it has
/// no step. Throws Error when a variable is not a number or a rank is not below the count.
std::optional<LocalRank> local_rank(const Environment& environment);

/// Cores that this process may use: those of its CPU affinity, no more than its control group's CPU quota (rounded up),
/// at least 1.
std::uint32_t usable_cores();
/// A control group's cpu.max, "QUOTA PERIOD" or "max PERIOD", in whole cores, rounded up; none for no limit.
std::optional<std::uint32_t> quota_cores(std::string_view cpu_max);

/// Of `usable` cores those of one of the launcher's processes: usable / count, at least 1. Under srun whose tasks were
/// bound to cores of their own (fewer than SLURM_CPUS_ON_NODE), no share of a share is taken.
std::uint32_t cores_of_rank(std::uint32_t usable, const Environment& environment);
/// How many workers or threads a process begins where its options say 0: cores_of_rank(usable_cores()).
std::uint32_t default_threads();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_LOCAL_RANKS_H_
