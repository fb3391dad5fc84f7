#include "common/base/stop.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/error.h"
#include "tests/support/signals.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::child_status;

/// As from a terminal or a batch system: to the process, not to this thread.
void send(int number) {
  ::kill(::getpid(), number);
}

/// Whether it is set, at the latest within ten seconds.
bool becomes(const StopFlag& stop) {
  for (int i = 0; i < 1000 && !stop; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return stop;
}

/// How many of the stop signals this thread blocks.
int blocked_signals() {
  sigset_t mask;
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  return static_cast<int>(
      std::ranges::count_if(kStopSignals, [&](int number) { return sigismember(&mask, number) == 1; }));
}

TEST_CASE("each stop signal sets the flag, and the same again in the same moment is one request") {
  for (const int number : kStopSignals) {
    CAPTURE(number);
    const int status = child_status([&] {
      const StopFlag& stop = stop_on_signals();
      if (stop) return 1;
      send(number);
      if (!becomes(stop)) return 2;
      send(number);  // as timeout(1) does, which signals the process and then its group
      send(number);
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      return 0;
    });
    CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
  }
}

TEST_CASE("a second signal of the same kind, a second later, kills the process") {
  for (const int number : {SIGINT, SIGTERM}) {
    CAPTURE(number);
    const int status = child_status([&] {
      const StopFlag& stop = stop_on_signals();
      send(number);
      if (!becomes(stop)) return 1;
      std::this_thread::sleep_for(kSecondSignalAfter);
      send(number);
      std::this_thread::sleep_for(std::chrono::seconds(10));
      return 0;
    });
    CHECK((WIFSIGNALED(status) && WTERMSIG(status) == number));
  }
}

TEST_CASE("no thread that computes can be interrupted by a handler, and a child process can by the signals") {
  const int status = child_status([] {
    stop_on_signals();
    int in_another = 0, before_exec = -1;
    std::thread([&] { in_another = blocked_signals(); }).join();
    const int in_this = blocked_signals();
    unblock_stop_signals();
    before_exec = blocked_signals();
    return in_this == 4 && in_another == 4 && before_exec == 0 ? 0 : 1;
  });
  CHECK((WIFEXITED(status) && WEXITSTATUS(status) == 0));
}

TEST_CASE("SIGUSR1 followed by SIGTERM is one stop, nohup is respected, and a blocked signal is unblocked") {
  const int both = child_status([] {
    const StopFlag& stop = stop_on_signals();
    send(SIGUSR1);
    send(SIGTERM);
    return becomes(stop) ? 0 : 1;
  });
  CHECK((WIFEXITED(both) && WEXITSTATUS(both) == 0));
  const int ignored = child_status([] {
    ::signal(SIGHUP, SIG_IGN);
    const StopFlag& stop = stop_on_signals();
    send(SIGHUP);
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    return stop ? 1 : 0;
  });
  CHECK((WIFEXITED(ignored) && WEXITSTATUS(ignored) == 0));
  const int blocked = child_status([] {
    sigset_t set;
    ::sigemptyset(&set);
    ::sigaddset(&set, SIGTERM);
    ::sigprocmask(SIG_BLOCK, &set, nullptr);
    ::raise(SIGTERM);
    return stop_on_signals() ? 0 : 1;
  });
  CHECK((WIFEXITED(blocked) && WEXITSTATUS(blocked) == 0));
}

TEST_CASE("Stopped says where, and the program exits with 130") {
  const StopFlag asked{true};
  throw_if_stopped(never_stop(), "nowhere");
  CHECK_THROWS_WITH_AS(throw_if_stopped(asked, "in this test"), "stopped in this test", Stopped);
  CHECK(guarded_main("test", []() -> int { throw Stopped("stopped: this line belongs to a test"); }) == 130);
}

}  // namespace
}  // namespace vitrine
