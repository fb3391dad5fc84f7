#include "common/base/stop.h"

#include "common/base/error.h"
#include "tests/support/signals.h"
#include "tests/support/testing.h"

namespace vitrine {
namespace {

using testing::child_status;

TEST_CASE("each stop signal sets the flag, and a second one kills the process") {
  for (const int number : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    CAPTURE(number);
    const int once = child_status([&] {
      const StopFlag& stop = stop_on_signals();
      if (stop) return 1;
      ::raise(number);
      return stop ? 0 : 2;
    });
    CHECK((WIFEXITED(once) && WEXITSTATUS(once) == 0));
    const int twice = child_status([&] {
      stop_on_signals();
      ::raise(number);
      ::raise(number);
      return 0;
    });
    CHECK((WIFSIGNALED(twice) && WTERMSIG(twice) == number));
  }
}

TEST_CASE("SIGUSR1 followed by SIGTERM is one stop, nohup is respected, and a blocked signal is unblocked") {
  const int both = child_status([] {
    const StopFlag& stop = stop_on_signals();
    ::raise(SIGUSR1);
    ::raise(SIGTERM);
    return stop ? 0 : 1;
  });
  CHECK((WIFEXITED(both) && WEXITSTATUS(both) == 0));
  const int ignored = child_status([] {
    ::signal(SIGHUP, SIG_IGN);
    const StopFlag& stop = stop_on_signals();
    ::raise(SIGHUP);
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
