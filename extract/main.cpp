// vitrine-extract: keeps a teacher's outputs in a cache.
#include "extract/command_line.h"

int main(int argc, char** argv) {
  return vitrine::extract_command(argc, argv);
}
