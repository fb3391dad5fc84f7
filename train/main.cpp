// vitrine-train: trains a student.
#include "train/run/command.h"

int main(int argc, char** argv) {
  return vitrine::train_command(argc, argv);
}
