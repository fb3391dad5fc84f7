// The error of a file whose bytes were read and are wrong. Private to this room.
#ifndef VITRINE_COMMON_CACHE_DAMAGED_H_
#define VITRINE_COMMON_CACHE_DAMAGED_H_

#include <filesystem>
#include <string>

#include "common/base/error.h"

namespace vitrine {

/// Throws Error (kCorrupt): `what` says what is wrong in `path`, `remedy` what to do.
[[noreturn]] inline void fail_damaged(const std::filesystem::path& path, const std::string& what,
                                      const std::string& remedy) {
  throw Error(ErrorKind::kCorrupt, {.path = path.string(), .what = what, .remedy = remedy});
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_DAMAGED_H_
