#include "common/base/lines.h"

#include <sstream>
#include <utility>

#include "common/base/files.h"

namespace vitrine {

std::vector<std::string> read_lines(const std::string& path) {
  std::istringstream in(read_file(path));
  std::vector<std::string> out;
  for (std::string line; std::getline(in, line);) {
    if (line.ends_with('\r')) line.pop_back();
    out.push_back(std::move(line));
  }
  return out;
}

std::string trimmed(const std::string& words) {
  const std::size_t first = words.find_first_not_of(" \t");
  return first == std::string::npos ? "" : words.substr(first, words.find_last_not_of(" \t") - first + 1);
}

}  // namespace vitrine
