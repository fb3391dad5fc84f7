// How a program is asked to end early, and how work that is asked ends. A signal sets a flag; long work is handed the
// flag as an argument, looks at it between two pieces, and either returns what it has or throws Stopped.
#ifndef VITRINE_COMMON_BASE_STOP_H_
#define VITRINE_COMMON_BASE_STOP_H_

#include <atomic>
#include <stdexcept>
#include <string>

namespace vitrine {

/// True once a stop was requested. Set by signal handlers and other threads, never reset.
using StopFlag = std::atomic<bool>;

/// The exit code of a program that was asked to stop, whichever signal it was (128 + SIGINT, as shells have it).
inline constexpr int kStoppedExitCode = 130;

/// Thrown by work that was asked to stop and has nothing to return. Not an Error: nothing is wrong, and code that
/// converts Errors must let it pass. what(): "stopped WHERE", for the user. guarded_main turns it into
/// kStoppedExitCode.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Stopped("stopped " + where) when the flag is set. Any thread.
void throw_if_stopped(const StopFlag& stop, const char* where);

/// A flag that nobody sets, for work that nobody stops.
const StopFlag& never_stop();

/// From now on SIGINT, SIGTERM, SIGHUP and SIGUSR1 (a batch system's warning) set the flag that is returned; a second
/// signal of the same kind ends the process at once, as if it had no handler. An ignored SIGHUP (nohup) stays ignored.
/// Signals that were blocked are unblocked. Call it once, from the main thread, before the work begins.
const StopFlag& stop_on_signals();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_STOP_H_
