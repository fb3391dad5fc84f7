// Files in a cache's directories that do not belong to it. Readers ignore them by name.
#ifndef VITRINE_TOOLS_INSPECT_LEFTOVERS_H_
#define VITRINE_TOOLS_INSPECT_LEFTOVERS_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

/// Suffix of damaged files that were set aside: "00001.h5.damaged", then "00001.h5.damaged.2".
inline constexpr const char* kSetAside = "damaged";

/// Files that were set aside, as paths relative to the cache, ascending.
std::vector<std::string> set_aside_below(const std::filesystem::path& cache);

/// Temporary files whose writers are gone (base/files.h), as paths relative to the cache, ascending.
std::vector<std::string> abandoned_below(const std::filesystem::path& cache);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_LEFTOVERS_H_
