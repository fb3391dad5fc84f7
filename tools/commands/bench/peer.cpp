#include "tools/commands/bench/peer.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/base/shell.h"
#include "common/base/stop.h"

namespace vitrine::bench {
namespace {

// tools/bundle/vitrine sets the second to what the first was before it put LibTorch's folder in front, of which a
// Python program has its own.
constexpr const char* kLibraryPath = "LD_LIBRARY_PATH";
constexpr const char* kCallersLibraryPath = "VITRINE_CALLER_LD_LIBRARY_PATH";

// The environment of a Python program: the caller's of the bundle, or this program's own.
std::vector<std::string> peer_environment() {
  const char* callers = std::getenv(kCallersLibraryPath);
  const auto replaced = [&](std::string_view variable) {
    return callers != nullptr &&
           (variable.starts_with(text(kLibraryPath, '=')) || variable.starts_with(text(kCallersLibraryPath, '=')));
  };
  std::vector<std::string> out;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (!replaced(*variable)) out.emplace_back(*variable);
  if (callers != nullptr && *callers != 0) out.push_back(text(kLibraryPath, '=', callers));
  return out;
}

// The same as words before a shell command.
std::string peer_environment_words() {
  const char* callers = std::getenv(kCallersLibraryPath);
  if (callers == nullptr) return {};
  const std::string restored =
      *callers == 0 ? text("unset ", kLibraryPath) : text("export ", kLibraryPath, '=', shell_word(callers));
  return text("unset ", kCallersLibraryPath, "; ", restored, "; ");
}

}  // namespace

std::filesystem::path default_python() {
  const std::filesystem::path own = std::filesystem::path(VITRINE_SOURCE) / ".venv/bin/python";
  if (path_exists(own)) return own;
  const char* named = std::getenv("PYTHON");
  return named != nullptr && *named != 0 ? named : "python3";
}

std::filesystem::path peer_script(const std::string& script) {
  std::error_code unknown;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", unknown),
                              installed = (program.parent_path() / VITRINE_PEERS / script).lexically_normal(),
                              source = std::filesystem::path(VITRINE_SOURCE) / "tools/commands/bench/peers" / script;
  for (const std::filesystem::path& path : {installed, source})
    if (file_exists(path)) return path;
  throw Error(ErrorKind::kInput,
              {.path = installed.string(),
               .what = "is not there",
               .remedy = "install or bundle all of Vitrine, which this Python program is a part of"});
}

std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments) {
  std::string command;
  try {
    command =
        text(peer_environment_words(), "'", python.string(), "' '", peer_script(script).string(), "' ", arguments);
  } catch (const Error& error) {
    note(error.what());
    return std::nullopt;
  }
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return std::nullopt;
  std::string answer;
  char buffer[4096];
  while (const std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) answer.append(buffer, n);
  if (pclose(pipe) != 0) return std::nullopt;
  nlohmann::json json = nlohmann::json::parse(answer, nullptr, false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

PeerProcess::PeerProcess(const std::filesystem::path& python, const std::string& script) {
  const std::string path = peer_script(script).string();
  const std::vector<std::string> environment = peer_environment();
  std::vector<char*> variables;  // made before the fork, after which nothing may be allocated
  for (const std::string& variable : environment) variables.push_back(const_cast<char*>(variable.c_str()));
  variables.push_back(nullptr);
  const std::array<char*, 3> words{const_cast<char*>(python.c_str()), const_cast<char*>(path.c_str()), nullptr};
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0)
    fail_system(errno, path, "cannot be started", "close other programs");
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    dup2(ends[1], STDIN_FILENO);
    dup2(ends[1], STDOUT_FILENO);
    unblock_stop_signals();
    execvpe(python.c_str(), words.data(), variables.data());
    _exit(127);
  }
  const int reason = errno;
  close(ends[1]);
  socket_ = ends[0];
  if (process_ < 0) {
    close(socket_);
    fail_system(reason, path, "cannot be started", "close other programs");
  }
}

PeerProcess::~PeerProcess() {
  close(socket_);  // the end of its input ends the program
  while (waitpid(process_, nullptr, 0) < 0 && errno == EINTR) {
  }
}

std::optional<nlohmann::json> PeerProcess::ask(const nlohmann::json& request) {
  const std::string line = request.dump() + "\n";
  for (std::size_t sent = 0; sent < line.size();) {
    const ssize_t n = send(socket_, line.data() + sent, line.size() - sent, MSG_NOSIGNAL);
    if (n < 0 && errno != EINTR) return std::nullopt;
    if (n > 0) sent += static_cast<std::size_t>(n);
  }
  for (;;) {
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      nlohmann::json answer = nlohmann::json::parse(received_.substr(0, end), nullptr, false);
      received_.erase(0, end + 1);
      if (answer.is_discarded()) return std::nullopt;
      return answer;
    }
    std::array<char, 4096> buffer;
    const ssize_t n = recv(socket_, buffer.data(), buffer.size(), 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return std::nullopt;
    received_.append(buffer.data(), static_cast<std::size_t>(n));
  }
}

}  // namespace vitrine::bench
