// vitrine-classify: what a student sees in pictures.
#include "tools/commands/classify/command.h"

int main(int argc, char** argv) {
  return vitrine::classify_command(argc, argv);
}
