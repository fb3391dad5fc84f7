#include "common/cache/shard_name.h"

#include <algorithm>

#include "common/base/files.h"

namespace vitrine {

std::vector<std::uint64_t> list_shard_numbers(const std::filesystem::path& directory) {
  std::vector<std::uint64_t> numbers;
  if (!path_exists(directory)) return numbers;
  for (const DirectoryEntry& entry : list_directory(directory))
    if (const auto number = shard_number_of(entry.name); number && entry.kind != DirectoryEntry::Kind::kDangling)
      numbers.push_back(*number);
  std::ranges::sort(numbers);
  return numbers;
}

}  // namespace vitrine
