// Text files line by line, and lists of words.
#ifndef VITRINE_COMMON_BASE_LINES_H_
#define VITRINE_COMMON_BASE_LINES_H_

#include <string>
#include <vector>

namespace vitrine {

/// The lines of a file; accepts LF and CRLF endings. Throws Error.
std::vector<std::string> read_lines(const std::string& path);

/// Without leading and trailing spaces and tabs.
std::string trimmed(const std::string& words);

/// "a, b c" is {"a", "b", "c"}: the words between commas and spaces.
std::vector<std::string> comma_separated(const std::string& words);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_LINES_H_
