// The work of a command that does several things in turn, mostly by running other programs.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_STEPS_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_STEPS_H_

#include <functional>
#include <string>
#include <vector>

#include "common/base/stop.h"

namespace vitrine {

struct CommandStep {
  std::string title;  ///< for people
  /// Returns an exit code; may throw Error and Stopped.
  std::function<int()> work;
};

/// Runs vitrine-NAME, which is beside this program, and returns its exit code, as run_program() does (child.h). `own`:
/// this program's argv[0]. Adds --quiet or --log-format json to `arguments` where this one was given them (screen.h).
int run_beside(const std::string& own, const std::string& name, const std::vector<std::string>& arguments);

/// Runs the steps in order, each under a line "== 1 of 3: TITLE". Once `stop` is set no further one is started. Returns
/// the exit code of the first that fails or is stopped, after naming it and `command`, which resumes; else 0.
int run_steps(const std::vector<CommandStep>& steps, const std::string& command, const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_STEPS_H_
