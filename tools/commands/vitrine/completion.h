// Completion of `vitrine` in a shell.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_COMPLETION_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_COMPLETION_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

/// The script that a shell loads: "bash" or "zsh". Throws Error for another one.
std::string completion_script(const std::string& shell);

/// What may follow `words` (those after `vitrine`, without the one being typed): commands, subcommands and options as
/// --help lists them, after --set the keys as --help-keys lists them. Runs the programs in `directory`. File names are
/// left to the shell.
std::vector<std::string> completions(const std::filesystem::path& directory, const std::vector<std::string>& words);

/// For tests: the options and subcommands that a --help page names, and the keys of a --help-keys table.
std::vector<std::string> words_of_help(const std::string& page);
std::vector<std::string> keys_of_help(const std::string& table);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_COMPLETION_H_
