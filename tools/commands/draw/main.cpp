// vitrine-draw: generates the demo's data set, an ImageFolder of drawn JPEGs; see tools/commands/draw/drawing.h.
#include "tools/commands/draw/command.h"

int main(int argc, char** argv) {
  return vitrine::draw_command(argc, argv);
}
