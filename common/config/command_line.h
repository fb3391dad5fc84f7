// The command line of Vitrine's programs: conventions that they share.
#ifndef VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
#define VITRINE_COMMON_CONFIG_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <functional>
#include <optional>
#include <string>

namespace vitrine {

/// Parses into `app`, to which all options are added; adds --version. Of subcommands, where there are any, one is
/// required. Returns what to exit with after --help or --version, which are answered on standard output, else nothing.
/// Throws Error for a command line that does not fit.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

/// Adds `--help-keys [WORD]`, answered as --help is: with what `table` says of the word (config_help).
void add_help_keys(CLI::App& app, const std::function<std::string(const std::string& word)>& table);

/// The command line as one types it: arguments that a shell would take apart are quoted.
std::string shell_command(int argc, const char* const* argv);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
