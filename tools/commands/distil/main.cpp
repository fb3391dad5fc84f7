// vitrine-distil: from a folder of photos and a teacher to a trained student.
#include "tools/commands/distil/command.h"

int main(int argc, char** argv) {
  return vitrine::distil_command(argc, argv);
}
