// The command line of vitrine-extract. Without LibTorch, so that main.cpp is compiled at once.
#ifndef VITRINE_EXTRACT_COMMAND_LINE_H_
#define VITRINE_EXTRACT_COMMAND_LINE_H_

namespace vitrine {

/// Runs the program and returns its exit code, after printing what went wrong.
int extract_command(int argc, char** argv);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMMAND_LINE_H_
