// Command-line conventions shared by Vitrine's programs.
#ifndef VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
#define VITRINE_COMMON_CONFIG_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace vitrine {

/// Parses into `app`, to which all options must have been added; adds --version. If `app` has subcommands, one is
/// required. Returns the exit code after --help or --version, which print to standard output, else nullopt. Throws
/// Error for an invalid command line.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

/// Adds `--help-keys [WORD]`, which prints `table(word)` (see config_help) and exits like --help.
void add_help_keys(CLI::App& app, const std::function<std::string(const std::string& word)>& table);

/// Adds --quiet and --log-format, which choose how notes and progress appear (screen.h).
void add_screen_options(CLI::App& app);

/// The command line as it would be typed; arguments that need it are quoted for the shell.
std::string shell_command(int argc, const char* const* argv);

/// Whether `word` is in the lists of words that a repeatable --allow gave; it is removed from them, and empty lists
/// too.
bool take_allowed(std::vector<std::string>& allow, const std::string& word);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
