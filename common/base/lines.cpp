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

std::vector<std::string> comma_separated(const std::string& words) {
  std::vector<std::string> out;
  std::string word;
  for (const char c : words + ",") {
    if (c != ',' && c != ' ') {
      word += c;
    } else if (!word.empty()) {
      out.push_back(std::exchange(word, {}));
    }
  }
  return out;
}

}  // namespace vitrine
