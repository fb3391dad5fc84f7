// vitrine-export: writes a student to the files that other programs read; see tools/DEPLOY.md.
#include "tools/commands/export/command.h"

int main(int argc, char** argv) {
  return vitrine::export_command(argc, argv);
}
