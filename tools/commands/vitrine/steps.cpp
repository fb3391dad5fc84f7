#include "tools/commands/vitrine/steps.h"

#include <cstdio>

#include "common/base/error.h"
#include "common/base/paths.h"
#include "common/base/progress.h"
#include "common/base/screen.h"
#include "tools/commands/vitrine/child.h"
#include "tools/commands/vitrine/programs.h"

namespace vitrine {
namespace {

int code_of(const CommandStep& step, const StopFlag& stop) {
  if (stop) return kStoppedExitCode;
  try {
    return step.work();
  } catch (const Stopped& stopped) {
    note(stopped.what());
    return kStoppedExitCode;
  }
}

std::vector<std::string> screen_arguments() {
  switch (chosen_screen()) {
    case Screen::kText:
      return {};
    case Screen::kQuiet:
      return {"--quiet"};
    case Screen::kJson:
      return {"--log-format", "json"};
  }
  return {};
}

}  // namespace

int run_beside(const std::string& own, const std::string& name, const std::vector<std::string>& arguments) {
  std::vector<std::string> all = arguments;
  const std::vector<std::string> screen = screen_arguments();
  all.insert(all.end(), screen.begin(), screen.end());
  return run_program(program_path(own_directory(), name), shown_name(own, name), all);
}

int run_steps(const std::vector<CommandStep>& steps, const std::string& command, const StopFlag& stop) {
  for (std::size_t i = 0; i < steps.size(); ++i) {
    const char* title = steps[i].title.c_str();
    std::printf("\n== %zu of %zu: %s\n", i + 1, steps.size(), title);
    std::fflush(stdout);
    const int code = code_of(steps[i], stop);
    if (code == 0) continue;
    const bool stopped = code == kStoppedExitCode, killed = code > 128 && !stopped;
    std::printf("\n%s, in step %zu of %zu (%s)\n%s: %s\n",
                stopped  ? "stopped"
                : killed ? text("ended by signal ", code - 128).c_str()
                         : "failed",
                i + 1, steps.size(), title, stopped || killed ? "to resume" : "once it is fixed, resume with",
                command.c_str());
    return code;
  }
  return 0;
}

}  // namespace vitrine
