// How the files of a shard_directory are called: at least five digits, no more zeros in front than that takes, and
// ".h5".
#ifndef VITRINE_COMMON_CACHE_SHARD_NAME_H_
#define VITRINE_COMMON_CACHE_SHARD_NAME_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// The largest number that a name has room for.
inline constexpr std::uint64_t kMaxShardNumber = 9'999'999'999;

/// The number in "00012.h5"; nullopt for a name that is no shard's ("0012.h5", "000012.h5", "00012.h5.part.7.0").
inline std::optional<std::uint64_t> shard_number_of(const std::string& name) {
  constexpr std::size_t kDigits = 5, kMaxDigits = 10;
  const std::size_t digits = name.find('.');
  if (digits == std::string::npos || digits < kDigits || digits > kMaxDigits || name.substr(digits) != ".h5" ||
      name.find_first_not_of("0123456789") != digits || (digits > kDigits && name[0] == '0'))
    return std::nullopt;
  return std::stoull(name);
}

/// The numbers of all entries of a directory that are called as a shard is, ascending: one listing, which looks at
/// links alone; those to nothing are left out. A missing directory has none. Throws Error when it cannot be listed.
std::vector<std::uint64_t> list_shard_numbers(const std::filesystem::path& directory);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_SHARD_NAME_H_
