// A number with its noun, for messages.
#ifndef VITRINE_COMMON_BASE_COUNTED_H_
#define VITRINE_COMMON_BASE_COUNTED_H_

#include <cstdint>
#include <string>

#include "common/base/progress.h"

namespace vitrine {

/// "1 image", "1,281,167 images". `many`: the plural, if it is not `one` with an s: "1 pass", "2 passes".
inline std::string counted(std::uint64_t count, const std::string& one, const std::string& many = {}) {
  return human_count(count) + " " + (count == 1 ? one : many.empty() ? one + "s" : many);
}

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_COUNTED_H_
