// Files in a cache's directories that are no part of it. Readers ignore their names.
#ifndef VITRINE_TOOLS_INSPECT_LEFTOVERS_H_
#define VITRINE_TOOLS_INSPECT_LEFTOVERS_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

/// What a damaged file's name ends with once it is set aside: "00001.h5.damaged", and then "00001.h5.damaged.2".
inline constexpr const char* kSetAside = "damaged";

/// Files of a cache that were set aside, by their paths below it, ascending.
std::vector<std::string> set_aside_below(const std::filesystem::path& cache);

/// Temporary files of a cache's own files whose writers are gone (base/files.h), by their paths below it, ascending.
std::vector<std::string> abandoned_below(const std::filesystem::path& cache);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_LEFTOVERS_H_
