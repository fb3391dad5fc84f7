// The golden files, and the table of tests/golden/README.md.
#ifndef VITRINE_TESTS_FAULTS_GOLDEN_H_
#define VITRINE_TESTS_FAULTS_GOLDEN_H_

#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#include "tests/support/files.h"

namespace vitrine::testing {

inline const std::filesystem::path kGolden = VITRINE_GOLDEN;

/// File, or track of the whole cache ("cache/TEACHER.xxxxxxxx/TRACK"), to its expected outcome.
inline std::map<std::string, std::string> golden_rows(const std::filesystem::path& golden) {
  std::map<std::string, std::string> rows;
  std::istringstream readme(read_whole(golden / "README.md"));
  for (std::string line; std::getline(readme, line);) {
    if (!line.starts_with("| `")) continue;
    const std::size_t name_end = line.find('`', 3), last = line.rfind(" | ", line.size() - 3);
    rows[line.substr(3, name_end - 3)] = line.substr(last + 3, line.size() - last - 5);
  }
  return rows;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_FAULTS_GOLDEN_H_
