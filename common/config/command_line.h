// The command line of Vitrine's programs: the same manners in all of them.
#ifndef VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
#define VITRINE_COMMON_CONFIG_COMMAND_LINE_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

namespace vitrine {

/// Parses into `app`, to which all options are added; adds --version. Of subcommands, where there are any, one is
/// required. Returns what to exit with after --help or --version, which are answered on standard output, else nothing.
/// Throws Error for a command line that does not fit.
std::optional<int> parse_command_line(CLI::App& app, int argc, const char* const* argv);

/// The command line as one types it: arguments that a shell would take apart are quoted.
std::string shell_command(int argc, const char* const* argv);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CONFIG_COMMAND_LINE_H_
