// vitrine-bench: figures, each beside the peer or limit that it is measured against in the same run. A benchmark is not
// a test: the exit code is 0 whatever the figures.
#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "tools/commands/bench/command.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-bench", [&] {
    CLI::App app("Measures, and prints each figure beside its peer or limit.");
    app.require_subcommand(1);
    std::function<int()> chosen;
    vitrine::add_codec(app, chosen);
    vitrine::add_read(app, chosen);
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
      if (error.get_exit_code() == 0) return app.exit(error);
      vitrine::fail(error.what(), "; --help shows the usage");
    }
    return chosen();
  });
}
