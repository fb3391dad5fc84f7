#include "common/base/stop.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <ctime>
#include <thread>

#include "common/base/error.h"

namespace vitrine {
namespace {

// Global, as a signal handler takes no arguments.
StopFlag asked{false};
static_assert(StopFlag::is_always_lock_free, "a signal handler must not take a lock");

// When each of kStopSignals first came, in nanoseconds of the monotonic clock; 0: not yet.
using Nanoseconds = std::atomic<std::int64_t>;
std::array<Nanoseconds, kStopSignals.size()> first_came{};
static_assert(Nanoseconds::is_always_lock_free);

extern "C" void ask_to_stop(int number) {
  timespec clock{};
  ::clock_gettime(CLOCK_MONOTONIC, &clock);
  const std::int64_t now = std::int64_t{clock.tv_sec} * 1'000'000'000 + clock.tv_nsec;
  std::int64_t first = 0;
  const bool is_first =
      first_came[static_cast<std::size_t>(std::ranges::find(kStopSignals, number) - kStopSignals.begin())]
          .compare_exchange_strong(first, now);
  request_stop();  // last: who sees the flag and waits kSecondSignalAfter is at least that long after the first
  if (is_first) return;
  if (now - first < std::chrono::nanoseconds(kSecondSignalAfter).count()) return;
  ::signal(number, SIG_DFL);
  ::raise(number);  // pending until this handler returns
}

}  // namespace

void request_stop() {
  asked = true;
}

void throw_if_stopped(const StopFlag& stop, const char* where) {
  if (stop) throw Stopped(text("stopped ", where));
}

const StopFlag& never_stop() {
  static const StopFlag never{false};
  return never;
}

namespace {

// The signals that are handled. An ignored SIGHUP is not.
sigset_t install_handlers() {
  sigset_t handled;
  sigemptyset(&handled);
  for (const int number : kStopSignals) {
    struct sigaction before = {};
    struct sigaction action = {};
    if (::sigaction(number, nullptr, &before) != 0) fail_system(errno, "sigaction", "failed");
    if (number == SIGHUP && before.sa_handler == SIG_IGN) continue;
    action.sa_handler = ask_to_stop;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    if (::sigaction(number, &action, nullptr) != 0) fail_system(errno, "sigaction", "failed");
    sigaddset(&handled, number);
  }
  return handled;
}

void change_mask(int how, const sigset_t& signals) {
  if (const int code = ::pthread_sigmask(how, &signals, nullptr); code != 0)
    fail_system(code, "pthread_sigmask", "failed");
}

}  // namespace

const StopFlag& stop_on_signals() {
  static const bool once = [] {
    const sigset_t handled = install_handlers();
    change_mask(SIG_UNBLOCK, handled);  // handles here what was sent while the parent process had blocked it
    // Threads that are made later inherit the mask. From now on a thread that does nothing else runs the handlers: some
    // of oneDNN's generated kernels keep an address of data in the stack pointer, where a handler would write.
    change_mask(SIG_BLOCK, handled);
    std::thread([handled] {
      change_mask(SIG_UNBLOCK, handled);
      while (true) ::pause();
    }).detach();
    return true;
  }();
  static_cast<void>(once);
  return asked;
}

void unblock_stop_signals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int number : kStopSignals) sigaddset(&signals, number);
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace vitrine
