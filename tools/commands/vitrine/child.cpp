#include "tools/commands/vitrine/child.h"

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

#include "common/base/error.h"
#include "common/base/stop.h"
#include "tools/commands/vitrine/programs.h"

namespace vitrine {
namespace {

constexpr const auto& kPassedOn = kStopSignals;

volatile sig_atomic_t child_process = 0;  // 0: not there yet
volatile sig_atomic_t came_early = 0;     // a signal that is still to be passed on

// The kernel sends a terminal's signals to the whole process group, the child included; those of a user or program come
// to this process alone.
void pass_on(int number, siginfo_t* info, void*) {
  const int saved = errno;
  if (info->si_code != SI_KERNEL) {
    if (child_process > 0)
      kill(child_process, number);
    else
      came_early = number;
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
    for (std::size_t i = 0; i < kPassedOn.size(); ++i) {
      sigaction(kPassedOn[i], nullptr, &before_[i]);
      const bool ignored = before_[i].sa_handler == SIG_IGN;  // nohup stays
      if (!ignored) sigaction(kPassedOn[i], &action, nullptr);
    }
  }
  ~Handlers() {
    for (std::size_t i = 0; i < kPassedOn.size(); ++i) sigaction(kPassedOn[i], &before_[i], nullptr);
  }
  Handlers(const Handlers&) = delete;
  Handlers& operator=(const Handlers&) = delete;

 private:
  std::array<struct sigaction, kPassedOn.size()> before_{};
};

}  // namespace

int run_program(const std::filesystem::path& program, const std::string& shown,
                const std::vector<std::string>& arguments) {
  const ExecArguments line(shown, arguments);
  if (access(program.c_str(), X_OK) != 0)
    fail_system(errno, program.string(), "cannot be started", "build or install all programs together");

  const Handlers handlers;
  came_early = 0;
  // A signal between fork and the child's exec must not run pass_on() in the child.
  sigset_t blocked, before;
  sigemptyset(&blocked);
  for (const int number : kPassedOn) sigaddset(&blocked, number);
  pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child == 0) {
    for (const int number : kPassedOn)
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
  if (came_early != 0) kill(child, came_early);  // another thread may have handled it meanwhile
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  int status = 0;
  while (waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  child_process = 0;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

}  // namespace vitrine
