// vitrine-pilot: ranks teachers by what small students learn from them.
#include "tools/commands/pilot/command.h"

int main(int argc, char** argv) {
  return vitrine::pilot_command(argc, argv);
}
