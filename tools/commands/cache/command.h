// The subcommands of vitrine-cache. Each adds itself, with its options, to the command line; the one that was asked for
// leaves its body in `chosen`, which returns the exit code: 0 all is well, 1 damage or a difference was found. Errors
// are thrown, and become 2.
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
/// `deep`: what --deep runs; the only part of verification that needs a teacher.
void add_verify(CLI::App& app, Body& chosen, DeepCheck deep);
void add_repair(CLI::App& app, Body& chosen);
void add_show(CLI::App& app, Body& chosen);
void add_recode(CLI::App& app, Body& chosen);
void add_estimate(CLI::App& app, Body& chosen);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_
