// Text files that people write, line by line.
#ifndef VITRINE_COMMON_BASE_LINES_H_
#define VITRINE_COMMON_BASE_LINES_H_

#include <string>
#include <vector>

namespace vitrine {

/// A file's lines, whichever system ended them. Throws Error.
std::vector<std::string> read_lines(const std::string& path);

/// Without spaces and tabs at both ends.
std::string trimmed(const std::string& words);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_LINES_H_
