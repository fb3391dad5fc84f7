#include "tools/commands/vitrine/child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>

#include "common/base/error.h"
#include "common/base/stop.h"
#include "tools/commands/vitrine/programs.h"

namespace vitrine {
namespace {

// Lock-free, as a signal handler needs. The handler may run in another thread than run_program().
std::atomic<pid_t> child_process = 0;  // 0: there is none
std::atomic<int> not_passed_on = 0;    // a signal that came meanwhile
std::atomic<bool> asked = false;       // to stop, by any signal
static_assert(std::atomic<pid_t>::is_always_lock_free && std::atomic<int>::is_always_lock_free);

// The signal is stored first and the process looked up then; run_program() does it in the other order, so that one of
// the two passes it on.
void pass_on_to_child() {
  const pid_t child = child_process;
  if (child <= 0) return;
  if (const int number = not_passed_on.exchange(0); number != 0) kill(child, number);
}

// The kernel sends a terminal's signals to the whole process group, the child included. Those of a user or program may
// come to this process alone; where the child receives them too, as from timeout(1), it takes both for one
// (kSecondSignalAfter).
void pass_on(int number, siginfo_t* info, void*) {
  const int saved = errno;
  asked = true;
  request_stop();  // also when the child ends with 0, because it was done before it looked
  if (info->si_code != SI_KERNEL) {
    not_passed_on = number;
    pass_on_to_child();
  }
  errno = saved;
}

// RAII: pass_on() as the handler.
class Handlers {
 public:
  Handlers() {
    struct sigaction action {};
    action.sa_sigaction = pass_on;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    for (std::size_t i = 0; i < kStopSignals.size(); ++i) {
      sigaction(kStopSignals[i], nullptr, &before_[i]);
      const bool ignored = before_[i].sa_handler == SIG_IGN;  // nohup stays
      if (!ignored) sigaction(kStopSignals[i], &action, nullptr);
    }
  }
  ~Handlers() {
    for (std::size_t i = 0; i < kStopSignals.size(); ++i) sigaction(kStopSignals[i], &before_[i], nullptr);
    // One that came after the child's end is this process's own.
    if (const int number = not_passed_on.exchange(0); number != 0) kill(getpid(), number);
  }
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;

 private:
  std::array<struct sigaction, kStopSignals.size()> before_{};
};

}  // namespace

int run_program(const std::filesystem::path& program, const std::string& shown,
                const std::vector<std::string>& arguments) {
  const ExecArguments line(shown, arguments);
  if (access(program.c_str(), X_OK) != 0)
    fail_system(errno, program.string(), "cannot be started", "build or install all programs together");

  const Handlers handlers;
  // A signal between fork and the child's exec must not run pass_on() in the child.
  sigset_t blocked, before;
  sigemptyset(&blocked);
  for (const int number : kStopSignals) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : kStopSignals)
      if (struct sigaction now{}; sigaction(number, nullptr, &now) == 0 && now.sa_handler != SIG_IGN)
        signal(number, SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(128 + SIGTERM);
    unblock_stop_signals();
    execv(program.c_str(), line.argv());
    _exit(127);
  }
  if (child < 0) {
    const int reason = errno;
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    fail_system(reason, program.string(), "cannot be started", "close other programs");
  }
  child_process = child;
  pass_on_to_child();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  child_process = 0;
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  const int number = WTERMSIG(status);
  // It had not yet begun to listen, does not listen at all, or was asked twice.
  if (asked && std::ranges::find(kStopSignals, number) != kStopSignals.end()) return kStoppedExitCode;
  return 128 + number;
}

}  // namespace vitrine
