// The command line of vitrine-pilot. Without LibTorch, so that main.cpp is compiled at once.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_COMMAND_H_

namespace vitrine {

/// Runs the program and returns its exit code, after printing what went wrong.
int pilot_command(int argc, char** argv);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_COMMAND_H_
