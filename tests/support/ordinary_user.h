// Runs code as an unprivileged user; tests often run as root, who has every permission.
#ifndef VITRINE_TESTS_SUPPORT_ORDINARY_USER_H_
#define VITRINE_TESTS_SUPPORT_ORDINARY_USER_H_

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>
#include <functional>
#include <optional>
#include <stdexcept>
#include <string>

#include "tests/support/files.h"

namespace vitrine::testing {

/// Calls `body` in a child process with an ordinary user's permissions and returns its result. std::nullopt if this
/// process may not drop its own. Throws std::runtime_error with the message of an exception from the body.
inline std::optional<std::string> as_ordinary_user(const std::function<std::string()>& body) {
  constexpr uid_t kNobody = 65534;
  constexpr int kDone = 0, kThrew = 1, kRefused = 2;
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("no pipe");
  const pid_t child = fork();
  if (child < 0) throw std::runtime_error("no process");
  if (child == 0) {
    close(ends[0]);
    if (geteuid() == 0 && (setgroups(0, nullptr) != 0 || setgid(kNobody) != 0 || setuid(kNobody) != 0)) _exit(kRefused);
    std::string said;
    int code = kDone;
    try {
      said = body();
    } catch (const std::exception& error) {
      said = error.what();
      code = kThrew;
    }
    for (std::size_t sent = 0; sent < said.size();) {
      const ssize_t count = write(ends[1], said.data() + sent, said.size() - sent);
      if (count <= 0) break;
      sent += static_cast<std::size_t>(count);
    }
    _exit(code);
  }
  close(ends[1]);
  std::string said;
  char buffer[4096];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  if (!WIFEXITED(status)) throw std::runtime_error("the child was killed");
  if (WEXITSTATUS(status) == kRefused) return std::nullopt;
  if (WEXITSTATUS(status) != kDone) throw std::runtime_error(said);
  return said;
}

/// run() as an ordinary user. std::nullopt if impossible, also because that user may not read the program.
inline std::optional<CommandResult> run_as_ordinary_user(const std::string& program, const std::string& words) {
  const auto said = as_ordinary_user([&] {
    if (access(program.c_str(), X_OK) != 0) return std::string("none");
    const CommandResult result = run("'" + program + "' " + words);
    return std::to_string(result.exit_code) + "\n" + result.output;
  });
  if (!said || *said == "none") return std::nullopt;
  const std::size_t line = said->find('\n');
  return CommandResult{std::stoi(said->substr(0, line)), said->substr(line + 1)};
}

/// Gives everybody all permissions on a directory and its contents.
inline void open_to_all(const std::filesystem::path& directory) {
  using std::filesystem::perms;
  std::filesystem::permissions(directory, perms::all);
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (!entry.is_symlink()) std::filesystem::permissions(entry.path(), perms::all);
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_ORDINARY_USER_H_
