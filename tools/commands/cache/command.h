// The subcommands of vitrine-cache. Each function registers a subcommand and its options; the callback of the selected
// one sets `chosen`, which returns the exit code: 0 all is well, 1 damage or a difference was found. Errors are thrown;
// the caller maps them to exit codes.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_

#include <functional>

#include "common/config/command_line.h"
#include "tools/commands/cache/deep_result.h"

namespace vitrine {

using Body = std::function<int()>;

void add_info(CommandLine& line, Body& chosen);
/// `deep`: the implementation of --deep, the only part of verification that needs a teacher.
void add_verify(CommandLine& line, Body& chosen, DeepCheck deep);
void add_repair(CommandLine& line, Body& chosen);
void add_show(CommandLine& line, Body& chosen);
void add_recode(CommandLine& line, Body& chosen);
void add_estimate(CommandLine& line, Body& chosen);
void add_pack(CommandLine& line, Body& chosen);
void add_unpack(CommandLine& line, Body& chosen);
void add_card(CommandLine& line, Body& chosen);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_COMMAND_H_
