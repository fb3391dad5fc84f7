// The version of the cache format (common/cache/FORMAT.md), stored in each container's table and in versioned JSON
// files, and the rules for which versions can be read.
#ifndef VITRINE_COMMON_BASE_FORMAT_VERSION_H_
#define VITRINE_COMMON_BASE_FORMAT_VERSION_H_

#include <cstdint>
#include <string>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {

inline constexpr std::uint16_t kFormatMajor = 2, kFormatMinor = 0;

/// Throws Error unless `major` equals `known`, the version this program reads: kNewer if it is higher, kCorrupt for 0,
/// kInput for versions in between, which only pre-release programs wrote. `version`: as written in the file, "2.0" or
/// "2". `known`: the cache's version, or that of a file with its own versioning (shards.json).
inline void check_format_version(std::uint64_t major, const std::string& version, const std::string& path,
                                 std::uint64_t known = kFormatMajor) {
  if (major == known) return;
  if (major == 0)
    throw Error(ErrorKind::kCorrupt, {.path = path,
                                      .what = text("has format version ", version, ", which does not exist"),
                                      .remedy = "the file is damaged, copy or make it again"});
  if (major < known)
    throw Error(ErrorKind::kInput, {.path = path,
                                    .what = text("has format version ", major, ".x, which no release wrote"),
                                    .remedy = "extract the cache again"});
  throw Error(ErrorKind::kNewer, {.path = path,
                                  .what = text("has format version ", version, ", this program reads ", known, ".x"),
                                  .remedy = "use a newer vitrine"});
}

/// The same for the "version" of a JSON object; kCorrupt if it has none.
template <class Json>
void check_format_version(const Json& object, const std::string& path, std::uint64_t known = kFormatMajor) {
  const auto version = object.find("version");
  const auto major = version == object.end() ? std::nullopt : integer_of<std::uint64_t>(*version);
  if (!major)
    throw Error(ErrorKind::kCorrupt, {.path = path,
                                      .what = text("has no format version; expected \"version\": ", known),
                                      .remedy = "the file is damaged, copy or make it again"});
  check_format_version(*major, std::to_string(*major), path, known);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_FORMAT_VERSION_H_
