// Words of commands that a user may copy into a shell.
#ifndef VITRINE_COMMON_BASE_SHELL_H_
#define VITRINE_COMMON_BASE_SHELL_H_

#include <string>
#include <string_view>

namespace vitrine {

/// The word as one word of a shell command: in single quotes if it needs them.
std::string shell_word(std::string_view word);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_SHELL_H_
