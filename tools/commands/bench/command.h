// The subcommands of vitrine-bench. Each function registers a subcommand and its options; the callback of the selected
// one sets `chosen`.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_

#include <functional>

#include "common/config/command_line.h"

namespace vitrine {

void add_codec(CommandLine& line, std::function<int()>& chosen);
void add_extract(CommandLine& line, std::function<int()>& chosen);
void add_forward(CommandLine& line, std::function<int()>& chosen);
void add_inference(CommandLine& line, std::function<int()>& chosen);
void add_package(CommandLine& line, std::function<int()>& chosen);
void add_read(CommandLine& line, std::function<int()>& chosen);
void add_scale(CommandLine& line, std::function<int()>& chosen);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_
