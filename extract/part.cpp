#include "extract/part.h"

#include <charconv>
#include <string_view>

#include "common/base/error.h"

namespace vitrine {
namespace {

// A launcher's number.
std::uint64_t number(const char* name, std::string_view word) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || read.ec != std::errc() || read.ptr != word.data() + word.size())
    fail("part = \"auto\": ", name, " = \"", word,
         "\" is not a number; start under torchrun or srun, or give part = \"i/n\"");
  return value;
}

}  // namespace

std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part) {
  std::uint32_t i = 0, n = 0;
  const char* end = part.data() + part.size();
  const auto left = std::from_chars(part.data(), end, i);
  const bool slash = left.ec == std::errc() && left.ptr != end && *left.ptr == '/';
  const auto right = slash ? std::from_chars(left.ptr + 1, end, n) : left;
  if (!slash || right.ec != std::errc() || right.ptr != end || i < 1 || i > n)
    fail("part = \"", part, "\" is not allowed; expected i/n with 1 ≤ i ≤ n, for instance 2/8");
  std::vector<ShardKey> out;
  std::uint64_t count = 0;
  for (std::uint32_t pass = first_pass; pass < first_pass + passes; ++pass)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
      if (count++ % n == i - 1) out.push_back({pass, shard});
  return out;
}

std::string resolve_part(const std::string& part, const std::function<const char*(const char*)>& variable) {
  if (part != "auto") return part;
  constexpr const char* kPairs[][2] = {{"RANK", "WORLD_SIZE"}, {"SLURM_PROCID", "SLURM_NTASKS"}};
  for (const auto& [rank_name, size_name] : kPairs) {
    const char *rank = variable(rank_name), *size = variable(size_name);
    if (rank == nullptr && size == nullptr) continue;
    if (rank == nullptr || size == nullptr)
      fail("part = \"auto\": ", rank == nullptr ? size_name : rank_name, " is set, but not ",
           rank == nullptr ? rank_name : size_name, "; a launcher sets both, or give part = \"i/n\"");
    const std::uint64_t i = number(rank_name, rank), n = number(size_name, size);
    if (i >= n)
      fail("part = \"auto\": ", rank_name, " = ", i, " is not below ", size_name, " = ", n,
           "; ranks are counted from 0");
    return text(i + 1, "/", n);
  }
  fail(
      "part = \"auto\" finds neither RANK and WORLD_SIZE nor SLURM_PROCID and SLURM_NTASKS in the environment; start "
      "under torchrun --no-python or srun, or give part = \"i/n\"");
}

}  // namespace vitrine
