#include "common/base/stop.h"

#include <signal.h>

#include <cerrno>

#include "common/base/error.h"

namespace vitrine {
namespace {

// Global, as a signal handler takes no arguments.
StopFlag asked{false};
static_assert(StopFlag::is_always_lock_free, "a signal handler must not take a lock");

extern "C" void ask_to_stop(int) {
  asked = true;
}

}  // namespace

void throw_if_stopped(const StopFlag& stop, const char* where) {
  if (stop) throw Stopped(text("stopped ", where));
}

const StopFlag& never_stop() {
  static const StopFlag never{false};
  return never;
}

const StopFlag& stop_on_signals() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    struct sigaction before = {};
    struct sigaction action = {};
    if (::sigaction(number, nullptr, &before) != 0) fail_system(errno, "sigaction", "failed");
    if (number == SIGHUP && before.sa_handler == SIG_IGN) continue;
    action.sa_handler = ask_to_stop;
    // SA_RESETHAND: a second signal has its default effect.
    action.sa_flags = static_cast<int>(SA_RESTART | SA_RESETHAND);
    sigemptyset(&action.sa_mask);
    if (::sigaction(number, &action, nullptr) != 0) fail_system(errno, "sigaction", "failed");
    sigaddset(&handled, number);
  }
  // Threads inherit the mask, and the parent process may have blocked these signals.
  if (const int code = ::pthread_sigmask(SIG_UNBLOCK, &handled, nullptr); code != 0)
    fail_system(code, "pthread_sigmask", "failed");
  return asked;
}

}  // namespace vitrine
