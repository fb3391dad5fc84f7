// The subcommands of vitrine-bench. Each function registers a subcommand and its options; the callback of the selected
// one sets `chosen`.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_

#include <functional>

namespace CLI {
class App;
}

namespace vitrine {

void add_codec(CLI::App& app, std::function<int()>& chosen);
void add_extract(CLI::App& app, std::function<int()>& chosen);
void add_forward(CLI::App& app, std::function<int()>& chosen);
void add_inference(CLI::App& app, std::function<int()>& chosen);
void add_package(CLI::App& app, std::function<int()>& chosen);
void add_read(CLI::App& app, std::function<int()>& chosen);
void add_scale(CLI::App& app, std::function<int()>& chosen);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_COMMAND_H_
