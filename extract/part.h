// Which shards are this process's.
#ifndef VITRINE_EXTRACT_PART_H_
#define VITRINE_EXTRACT_PART_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "common/plan/plan.h"

namespace vitrine {

/// Part i of n, 1 ≤ i ≤ n: every n-th shard beginning with the i-th.
struct Part {
  std::uint32_t i = 1, n = 1;
};
/// Of "i/n". Throws Error for another form.
Part parse_part(const std::string& part);

/// Throws Error for passes whose shards have numbers of more than ten digits, and for more than 10^8 shards in one of
/// `parts` parts.
void check_passes(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes, std::uint32_t parts);

/// The part's share of the shards of the passes, in order. Throws Error as parse_part() and check_passes() do.
std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part);

/// "auto" becomes the "i/n" that a launcher gives: RANK and WORLD_SIZE (torchrun), else SLURM_PROCID and SLURM_NTASKS
/// (srun); anything else stays. `variable`: std::getenv. Throws Error when "auto" finds neither pair, or a pair that is
/// not a rank below a size.
std::string resolve_part(const std::string& part, const std::function<const char*(const char*)>& variable);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PART_H_
