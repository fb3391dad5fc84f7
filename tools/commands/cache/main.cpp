// vitrine-cache: inspects, verifies and repairs caches of teacher outputs. See tools/commands/cache/.
#include <CLI/CLI.hpp>

#include "common/base/error.h"
#include "common/config/command_line.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/teacher/deep.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-cache", [&] {
    CLI::App app("Inspects, verifies and repairs caches of teacher outputs.");
    app.footer(
        "Exit codes: 0 all is well, 1 damage or a difference was found, 2 bad input, 3 the system refused to read or "
        "write,\n"
        "4 a file that is needed is damaged, 5 it is of a newer version, 6 out of memory, 70 a mistake in this "
        "program.");
    vitrine::Body chosen;
    vitrine::add_info(app, chosen);
    vitrine::add_verify(app, chosen, vitrine::deep_check);
    vitrine::add_repair(app, chosen);
    vitrine::add_show(app, chosen);
    vitrine::add_recode(app, chosen);
    vitrine::add_estimate(app, chosen);
    vitrine::add_pack(app, chosen);
    vitrine::add_unpack(app, chosen);
    vitrine::add_card(app, chosen);
    if (const auto code = vitrine::parse_command_line(app, argc, argv)) return *code;
    return chosen();
  });
}
