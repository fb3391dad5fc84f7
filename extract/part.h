// Divides the shards among processes.
#ifndef VITRINE_EXTRACT_PART_H_
#define VITRINE_EXTRACT_PART_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/plan/plan.h"

namespace vitrine {

/// Part i of n, 1 ≤ i ≤ n: every n-th shard, starting with the i-th.
struct Part {
  std::uint32_t i = 1, n = 1;
};
/// Parses "i/n". Throws Error for anything else.
Part parse_part(const std::string& part);

/// Throws Error for passes whose shard numbers exceed ten digits, and for more than 10^8 shards per part.
void check_passes(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes, std::uint32_t parts);

/// "2 passes of 128 views (122 images, the last group filled up with the pass's first) in 4 shards each".
std::string words_of_passes(const Plan& plan, std::uint32_t passes);

/// The shards of `part` in these passes, in order. Throws Error as parse_part() and check_passes() do.
std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part);

/// Resolves "auto" to "i/n" from the launcher's variables: RANK and WORLD_SIZE (torchrun), else SLURM_PROCID and
/// SLURM_NTASKS (srun). Returns any other `part` unchanged. `variable`: std::getenv. Throws Error when neither pair is
/// set, or the rank is not below the size.
std::string resolve_part(const std::string& part, const std::function<const char*(const char*)>& variable);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PART_H_
