// Text that people write: files line by line, and lists of words.
#ifndef VITRINE_COMMON_BASE_LINES_H_
#define VITRINE_COMMON_BASE_LINES_H_

#include <string>
#include <vector>

namespace vitrine {

/// A file's lines, whichever system ended them. Throws Error.
std::vector<std::string> read_lines(const std::string& path);

/// Without spaces and tabs at both ends.
std::string trimmed(const std::string& words);

/// "a, b c" is {"a", "b", "c"}: the words between commas and spaces.
std::vector<std::string> comma_separated(const std::string& words);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_LINES_H_
