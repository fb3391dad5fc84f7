// A command that runs other programs, and signals that ask it to stop.
#include "tools/commands/vitrine/child.h"

#include <signal.h>

#include "common/base/stop.h"
#include "tests/support/signals.h"
#include "tests/support/testing.h"
#include "tools/commands/vitrine/steps.h"

using namespace vitrine;
using namespace vitrine::testing;

namespace {

// `script` may signal the command that runs it: $PPID.
int shell(const std::string& script) {
  return run_program("/bin/sh", "sh", {"-c", script});
}

// Waits for the signal, which ends it with 0.
constexpr const char* kEndsWell = "trap 'exit 0' TERM; kill -TERM $PPID; while :; do sleep 0.02; done";

}  // namespace

TEST_CASE("child: its exit code is returned, and the signal that ended it unless that was a request to stop") {
  CHECK(shell("exit 0") == 0);
  CHECK(shell("exit 7") == 7);
  CHECK(shell("kill -TERM $$") == 128 + SIGTERM);
  const int status = child_status([] {
    const StopFlag& stop = stop_on_signals();
    // It does not listen to the signal that is passed on to it.
    if (shell("kill -TERM $PPID; exec sleep 20") != kStoppedExitCode || !stop) return 1;
    return shell("kill -SEGV $$") == 128 + SIGSEGV ? 0 : 2;
  });
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

TEST_CASE("child: a command that is asked to stop starts no further step, even if its child ends with 0") {
  const int status = child_status([] {
    const StopFlag& stop = stop_on_signals();
    bool further = false;
    const int code = run_steps({{"first", [] { return shell(kEndsWell); }},
                                {"second",
                                 [&] {
                                   further = true;
                                   return 0;
                                 }}},
                               "the command", stop);
    return code == kStoppedExitCode && !further ? 0 : 1;
  });
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}
