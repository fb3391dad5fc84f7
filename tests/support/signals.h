// Sends programs a signal at a known moment, for tests.
#ifndef VITRINE_TESTS_SUPPORT_SIGNALS_H_
#define VITRINE_TESTS_SUPPORT_SIGNALS_H_

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <string>

#include "tests/support/files.h"

namespace vitrine::testing {

/// Runs a shell command line (without pipes; it replaces the shell) with `signal` blocked and pending: the program
/// receives it when it unblocks it, which is when it is ready for it. Standard output and error go to `log`.
inline CommandResult run_with_pending(int signal, const std::string& command_line, const std::filesystem::path& log) {
  const std::string line = "exec " + command_line + " > '" + log.string() + "' 2>&1";
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) {
    sigset_t blocked;
    ::sigemptyset(&blocked);
    ::sigaddset(&blocked, signal);
    ::sigprocmask(SIG_BLOCK, &blocked, nullptr);
    ::raise(signal);
    ::execl("/bin/sh", "sh", "-c", line.c_str(), static_cast<char*>(nullptr));
    ::_exit(127);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_whole(log)};
}

/// The status of a child process that calls `body` and exits with its result.
template <class Body>
int child_status(const Body& body) {
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("cannot fork");
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_SIGNALS_H_
