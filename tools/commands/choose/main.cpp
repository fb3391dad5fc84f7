// vitrine-choose: the most accurate student under a latency.
#include "tools/commands/choose/command.h"

int main(int argc, char** argv) {
  return vitrine::choose_command(argc, argv);
}
