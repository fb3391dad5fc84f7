// Reads a teacher's class names, which weight files do not contain.
#ifndef VITRINE_COMMON_PLAN_CLASS_NAMES_H_
#define VITRINE_COMMON_PLAN_CLASS_NAMES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace vitrine {

/// Reads a text file with one name per line, in the order of the teacher's `classes` classes. Ignores white space
/// around names and empty lines at the end. Throws Error, with file and line, for an empty name and for a wrong number
/// of names.
std::vector<std::string> read_class_names(const std::string& path, std::uint64_t classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_PLAN_CLASS_NAMES_H_
