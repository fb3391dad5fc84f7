#include "common/base/memory.h"

#include <algorithm>
#include <fstream>
#include <sstream>
#include <string>

#if __has_include(<malloc.h>)
#include <malloc.h>
#endif

#include "common/base/error.h"

namespace vitrine {
namespace {

// The number after `key` in a file of "key value" lines; with an empty key, the first word of the file.
std::optional<std::uint64_t> number_in(const std::filesystem::path& file, const std::string& key) {
  std::ifstream in(file);
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words(line);
    std::string name;
    std::uint64_t number = 0;
    if ((key.empty() || (words >> name && name == key)) && words >> number) return number;
  }
  return std::nullopt;
}

// Memory left below one group's limit. Inactive file pages are reclaimable and do not count as used.
std::optional<std::uint64_t> left_in(const std::filesystem::path& group, const char* limit, const char* usage,
                                     const char* inactive) {
  const auto most = number_in(group / limit, ""), used = number_in(group / usage, "");
  if (!most || !used) return std::nullopt;  // "max": no limit
  const std::uint64_t cached = std::min(*used, number_in(group / "memory.stat", inactive).value_or(0));
  return *most - std::min(*most, *used - cached);
}

}  // namespace

std::optional<std::uint64_t> available_memory(const std::filesystem::path& root) {
  std::optional<std::uint64_t> least = number_in(root / "proc/meminfo", "MemAvailable:");
  if (least) *least *= 1024;
  const auto take = [&least](const std::optional<std::uint64_t>& left) {
    if (left && (!least || *left < *least)) least = left;
  };
  // A line is "0::/path" in version 2, "4:memory:/path" or "4:cpu,memory:/path" in version 1.
  std::ifstream groups(root / "proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':'), second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = text(',', line.substr(first + 1, second - first - 1), ',');
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",memory,") == std::string::npos) continue;
    const std::filesystem::path top = root / "sys/fs/cgroup" / (unified ? "" : "memory");
    // In a container the path may be the host's, and the group's own files are at the root.
    for (std::filesystem::path below = std::filesystem::path(line.substr(second + 1)).relative_path();;
         below = below.parent_path()) {
      take(unified ? left_in(top / below, "memory.max", "memory.current", "inactive_file")
                   : left_in(top / below, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"));
      if (below.empty()) break;
    }
  }
  return least;
}

void keep_freed_memory() {
#if defined(M_MMAP_MAX) && defined(M_TRIM_THRESHOLD)
  mallopt(M_MMAP_MAX, 0);  // never mmap single blocks; the threshold for that cannot be raised above 32 MB
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
#endif
}

}  // namespace vitrine
