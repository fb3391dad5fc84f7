// Helpers for tests: a temporary directory that removes itself, whole files in and out, and a run of one of our executables.
#ifndef VITRINE_TESTS_SUPPORT_FILES_H_
#define VITRINE_TESTS_SUPPORT_FILES_H_

#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

namespace vitrine::testing {

/// A fresh directory below the system's temporary one; removed with all it holds when this goes out of scope.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = (std::filesystem::temp_directory_path() / "vitrine-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("cannot make a temporary directory");
    path_ = name;
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

inline std::string read_whole(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path.string());
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_whole(const std::filesystem::path& path, std::string_view bytes) {
  std::filesystem::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

struct CommandResult {
  int exit_code;
  std::string output;  ///< standard output and standard error together
};

/// Runs a shell command line. Executables of this build are found as $VITRINE_BIN/name.
inline CommandResult run(const std::string& command_line) {
  FILE* pipe = popen((command_line + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command_line);
  CommandResult result{};
  char buffer[4096];
  while (std::size_t n = fread(buffer, 1, sizeof buffer, pipe)) result.output.append(buffer, n);
  const int status = pclose(pipe);
  result.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

/// The path of one of this build's executables, from the environment that ctest sets.
inline std::string executable(const std::string& name) {
  const char* bin = std::getenv("VITRINE_BIN");
  if (bin == nullptr) throw std::runtime_error("VITRINE_BIN is not set; run this through ctest");
  return std::string(bin) + "/" + name;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_SUPPORT_FILES_H_
