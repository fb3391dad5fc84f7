// The command line of vitrine-train. Without LibTorch, so that main.cpp is compiled at once.
#ifndef VITRINE_TRAIN_RUN_COMMAND_H_
#define VITRINE_TRAIN_RUN_COMMAND_H_

namespace vitrine {

/// Runs the program and returns its exit code, after printing what went wrong.
int train_command(int argc, char** argv);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_COMMAND_H_
