#include "common/plan/class_names.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/lines.h"

namespace vitrine {

std::vector<std::string> read_class_names(const std::string& path, std::uint64_t classes) {
  std::vector<std::string> names = read_lines(path);
  for (std::string& name : names) name = trimmed(name);
  while (!names.empty() && names.back().empty()) names.pop_back();
  if (const auto empty = std::ranges::find(names, ""); empty != names.end())
    fail(path, ", line ", empty - names.begin() + 1, ": is empty; expected the name of teacher class ",
         empty - names.begin());
  if (names.size() != classes)
    fail(path, ": has ", names.size(), " names, but the teacher has ", classes,
         " classes; expected one name per line, in class order");
  return names;
}

}  // namespace vitrine
