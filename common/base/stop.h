// Requests to stop early. A signal sets a flag; long-running functions take the flag as an argument, poll it between
// units of work, and either return what they have or throw Stopped.
#ifndef VITRINE_COMMON_BASE_STOP_H_
#define VITRINE_COMMON_BASE_STOP_H_

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <stdexcept>
#include <string>

namespace vitrine {

/// True once a stop is requested. Set by signal handlers and other threads, never reset.
using StopFlag = std::atomic<bool>;

/// Exit code of a stopped program, whichever signal it was (128 + SIGINT, the shell convention).
inline constexpr int kStoppedExitCode = 130;

/// Thrown by work that was stopped and has nothing to return. Not an Error: code that converts Errors must let it pass.
/// what(): "stopped WHERE", for the user. guarded_main turns it into kStoppedExitCode.
class Stopped : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Stopped("stopped " + where) if the flag is set. Thread-safe.
void throw_if_stopped(const StopFlag& stop, const char* where);

/// A flag that is never set.
const StopFlag& never_stop();

inline constexpr std::array kStopSignals = {SIGINT, SIGTERM, SIGHUP, SIGUSR1};

/// One that comes sooner after the first of its kind belongs to the same request: timeout(1) signals the process and
/// then its group, and a parent process passes on what its child received as well.
inline constexpr std::chrono::seconds kSecondSignalAfter{1};

/// Makes SIGINT, SIGTERM, SIGHUP and SIGUSR1 (a batch system's warning), sent to the process, set the returned flag. A
/// second signal of the same kind, at least kSecondSignalAfter after the first, ends the process at once, as without a
/// handler. An ignored SIGHUP (nohup) stays ignored. The signals are blocked in the calling thread and in all that are
/// made later, and handled in a thread of their own; one that the parent process had blocked counts too. Call from the
/// main thread, before the work begins; later calls only return the flag. Before exec, a child process calls
/// unblock_stop_signals().
const StopFlag& stop_on_signals();

/// Sets that flag, as such a signal does; safe in a signal handler.
void request_stop();

/// Unblocks these signals in the calling thread. Safe between fork and exec.
void unblock_stop_signals();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_STOP_H_
