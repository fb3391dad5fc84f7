// The command line of a program with subcommands.
#ifndef VITRINE_TOOLS_COMMANDS_SUBCOMMANDS_H_
#define VITRINE_TOOLS_COMMANDS_SUBCOMMANDS_H_

#include <CLI/CLI.hpp>
#include <optional>
#include <string>

#include "common/base/error.h"

namespace vitrine {

/// Parses into `app`, whose subcommands are all added; one of them is required. Returns what to exit with after --help,
/// else nothing. Throws Error that lists the subcommands when none is given, or one that is not there.
inline std::optional<int> parse_subcommand(CLI::App& app, int argc, char** argv) {
  app.require_subcommand(1);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);
    if (!app.get_subcommands().empty()) fail(error.what(), "; --help shows the usage");
    std::string known;
    for (const CLI::App* one : app.get_subcommands(nullptr)) known += (known.empty() ? "" : ", ") + one->get_name();
    const std::string first = argc > 1 ? argv[1] : "";
    const bool is_word = !first.empty() && first[0] != '-';
    fail(is_word ? "\"" + first + "\" is no subcommand" : std::string(error.what()), "; expected one of ", known,
         "; --help says what they do");
  }
  return std::nullopt;
}

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_SUBCOMMANDS_H_
