// vitrine-cache: inspects, verifies and repairs caches of teacher outputs. See tools/commands/cache/.
#include "common/base/error.h"
#include "common/config/command_line.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/teacher/deep.h"

int main(int argc, char** argv) {
  return vitrine::guarded_main("vitrine-cache", [&] {
    vitrine::CommandLine line("Inspects, verifies and repairs caches of teacher outputs.");
    line.footer(vitrine::kExitCodeWords);
    vitrine::Body chosen;
    vitrine::add_info(line, chosen);
    vitrine::add_verify(line, chosen, vitrine::deep_check);
    vitrine::add_repair(line, chosen);
    vitrine::add_show(line, chosen);
    vitrine::add_recode(line, chosen);
    vitrine::add_estimate(line, chosen);
    vitrine::add_pack(line, chosen);
    vitrine::add_unpack(line, chosen);
    vitrine::add_card(line, chosen);
    if (const auto code = line.parse(argc, argv)) return *code;
    return chosen();
  });
}
