// All arithmetic on passes, shards and groups. Shards are numbered across passes: number = pass · shards_per_pass +
// shard. Each holds shard_groups groups; the last one of a pass holds the remainder.
#ifndef VITRINE_COMMON_PLAN_SHARD_LAYOUT_H_
#define VITRINE_COMMON_PLAN_SHARD_LAYOUT_H_

#include <algorithm>
#include <compare>
#include <cstdint>
#include <limits>

namespace vitrine {

/// A group, by its pass and its number in the pass.
struct GroupKey {
  std::uint32_t pass = 0;
  std::uint32_t group = 0;
  auto operator<=>(const GroupKey&) const = default;
};

/// A shard by its pass and its number in the pass.
struct ShardKey {
  std::uint32_t pass = 0;
  std::uint32_t shard = 0;
  auto operator<=>(const ShardKey&) const = default;
};

/// The contents of one shard.
struct ShardSpan {
  ShardKey key;
  std::uint64_t number = 0;       ///< across passes; the number in the file's name
  std::uint32_t first_group = 0;  ///< in the pass
  std::uint32_t groups = 0;
  std::uint64_t views = 0;

  /// Group `g` of the shard, g < groups.
  GroupKey group(std::uint32_t g) const { return {key.pass, first_group + g}; }
};

/// Pure arithmetic; see Plan::layout() for a plan's. Cheap to copy.
struct ShardLayout {
  std::uint32_t groups_per_pass = 0;  ///< at least 1
  std::uint32_t shard_groups = 0;     ///< groups of a full shard, at least 1
  std::uint32_t group_views = 0;

  constexpr std::uint32_t shards_per_pass() const {
    return static_cast<std::uint32_t>((std::uint64_t{groups_per_pass} + shard_groups - 1) / shard_groups);
  }
  constexpr std::uint64_t views_per_pass() const { return std::uint64_t{groups_per_pass} * group_views; }

  constexpr std::uint64_t number_of(ShardKey key) const {
    return std::uint64_t{key.pass} * shards_per_pass() + key.shard;
  }
  constexpr ShardKey key_of(std::uint64_t number) const {
    return {static_cast<std::uint32_t>(pass_of(number)), static_cast<std::uint32_t>(number % shards_per_pass())};
  }
  /// Numbers from untrusted files may give 2^32 or more: no pass, and key_of() and span_of() give another's.
  constexpr std::uint64_t pass_of(std::uint64_t number) const { return number / shards_per_pass(); }
  constexpr bool has_pass_of(std::uint64_t number) const {
    return pass_of(number) <= std::numeric_limits<std::uint32_t>::max();
  }

  /// The number of the shard that holds a group, and the group's position in it.
  constexpr std::uint64_t number_of(GroupKey key) const {
    return number_of(ShardKey{key.pass, key.group / shard_groups});
  }
  constexpr std::uint32_t place_of(GroupKey key) const { return key.group % shard_groups; }

  /// key.shard < shards_per_pass().
  constexpr ShardSpan span_of(ShardKey key) const {
    const std::uint32_t first = key.shard * shard_groups, groups = std::min(shard_groups, groups_per_pass - first);
    return {key, number_of(key), first, groups, std::uint64_t{groups} * group_views};
  }
  constexpr ShardSpan span_of(std::uint64_t number) const { return span_of(key_of(number)); }

  bool operator==(const ShardLayout&) const = default;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_SHARD_LAYOUT_H_
