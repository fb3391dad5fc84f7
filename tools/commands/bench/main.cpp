// vitrine-bench: measures figures together with their peers or limits in the same run. A benchmark is not a test: the
// exit code does not depend on the figures.
#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "common/config/command_line.h"
#include "tools/commands/bench/command.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-bench", [&] {
    CLI::App app("Runs benchmarks and prints each figure with its peer or limit.");
    std::function<int()> chosen;
    vitrine::add_codec(app, chosen);
    vitrine::add_extract(app, chosen);
    vitrine::add_forward(app, chosen);
    vitrine::add_inference(app, chosen);
    vitrine::add_package(app, chosen);
    vitrine::add_read(app, chosen);
    vitrine::add_scale(app, chosen);
    if (const auto code = vitrine::parse_command_line(app, argc, argv)) return *code;
    return chosen();
  });
}
