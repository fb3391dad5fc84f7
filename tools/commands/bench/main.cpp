// vitrine-bench: measures figures together with their peers or limits in the same run. A benchmark is not a test: the
// exit code does not depend on the figures.
#include "common/base/error.h"
#include "common/config/command_line.h"
#include "tools/commands/bench/command.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-bench", [&] {
    vitrine::CommandLine line("Runs benchmarks and prints each figure with its peer or limit.");
    std::function<int()> chosen;
    vitrine::add_codec(line, chosen);
    vitrine::add_extract(line, chosen);
    vitrine::add_forward(line, chosen);
    vitrine::add_inference(line, chosen);
    vitrine::add_package(line, chosen);
    vitrine::add_read(line, chosen);
    vitrine::add_scale(line, chosen);
    if (const auto code = line.parse(argc, argv)) return *code;
    return chosen();
  });
}
