// A teacher's class names, which no weight file holds.
#ifndef VITRINE_COMMON_PLAN_CLASS_NAMES_H_
#define VITRINE_COMMON_PLAN_CLASS_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vitrine {

/// A text file's names, one per line, in the order of the teacher's `classes` classes. White space around a name and
/// empty lines at the end do not count. Throws Error with file and line for an empty one, and for another number of
/// them.
std::vector<std::string> read_class_names(const std::string& path, std::uint64_t classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_CLASS_NAMES_H_
