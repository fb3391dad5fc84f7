#include "extract/part.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/shard_directory.h"

namespace vitrine {
namespace {

// Parses a launcher's variable.
std::uint64_t number(const char* name, std::string_view word) {
  std::uint64_t value = 0;
  const auto read = std::from_chars(word.data(), word.data() + word.size(), value);
  if (word.empty() || read.ec != std::errc() || read.ptr != word.data() + word.size())
    fail("part = \"auto\": ", name, " = \"", word,
         "\" is not a number; start under torchrun or srun, or give part = \"i/n\"");
  return value;
}

}  // namespace

Part parse_part(const std::string& part) {
  Part out;
  const char* end = part.data() + part.size();
  const auto left = std::from_chars(part.data(), end, out.i);
  const bool slash = left.ec == std::errc() && left.ptr != end && *left.ptr == '/';
  const auto right = slash ? std::from_chars(left.ptr + 1, end, out.n) : left;
  if (!slash || right.ec != std::errc() || right.ptr != end || out.i < 1 || out.i > out.n)
    fail("part = \"", part, "\" is not allowed; expected i/n with 1 ≤ i ≤ n, for instance 2/8");
  return out;
}

void check_passes(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes, std::uint32_t parts) {
  const std::uint64_t shards_per_pass = plan.shards_per_pass(), first = first_pass * shards_per_pass,
                      past = (std::uint64_t{first_pass} + passes) * shards_per_pass;
  if (past - 1 > kMaxShardNumber)
    fail("first_pass = ", first_pass, " and passes = ", passes, ": a pass has ", shards_per_pass,
         " shards, and their numbers have at most ten digits; first_pass + passes may be ",
         (kMaxShardNumber + 1) / shards_per_pass, " at most, or choose a larger plan.shard_groups");
  constexpr std::uint64_t kMaxShards = 100'000'000;
  if ((past - first) / parts > kMaxShards)
    fail("passes = ", passes, ": each of ", parts, " parts would be ", (past - first) / parts, " shards, at ",
         shards_per_pass, " per pass; ask for at most ",
         std::max<std::uint64_t>(1, kMaxShards * parts / shards_per_pass),
         " passes at once, or choose a larger plan.shard_groups");
}

std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part) {
  const auto [i, n] = parse_part(part);
  check_passes(plan, first_pass, passes, n);
  const std::uint64_t shards_per_pass = plan.shards_per_pass(), first = first_pass * shards_per_pass,
                      past = (std::uint64_t{first_pass} + passes) * shards_per_pass;
  std::vector<ShardKey> out;
  for (std::uint64_t number = first + i - 1; number < past; number += n) out.push_back(plan.layout().key_of(number));
  return out;
}

std::string words_of_passes(const Plan& plan, std::uint32_t passes) {
  const std::uint64_t views = plan.layout().views_per_pass(), images = plan.index().images.size();
  const std::uint32_t shards = plan.shards_per_pass();
  return text(
      counted(passes, "pass", "passes"), " of ", counted(views, "view"),
      views == images ? "" : text(" (", counted(images, "image"), ", the last group filled up with the pass's first)"),
      " in ", counted(shards, "shard"), passes == 1 ? "" : " each");
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
