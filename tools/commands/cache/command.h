// The subcommands of vitrine-cache. Each function registers a subcommand and its options; the callback of the selected
// one sets `chosen`, which returns the exit code: 0 all is well, 1 damage or a difference was found. Errors are thrown;
// the caller maps them to exit codes.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_

#include <functional>

#include "tools/commands/cache/deep_result.h"

namespace CLI {
class App;
}

namespace vitrine {

using Body = std::function<int()>;

void add_info(CLI::App& app, Body& chosen);
/// `deep`: the implementation of --deep, the only part of verification that needs a teacher.
void add_verify(CLI::App& app, Body& chosen, DeepCheck deep);
void add_repair(CLI::App& app, Body& chosen);
void add_show(CLI::App& app, Body& chosen);
void add_recode(CLI::App& app, Body& chosen);
void add_estimate(CLI::App& app, Body& chosen);
void add_pack(CLI::App& app, Body& chosen);
void add_unpack(CLI::App& app, Body& chosen);
void add_card(CLI::App& app, Body& chosen);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_
