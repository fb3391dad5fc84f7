// Helpers for tests: temporary directories, reading and writing whole files, and running executables.
#ifndef VITRINE_TESTS_SUPPORT_FILES_H_
#define VITRINE_TESTS_SUPPORT_FILES_H_

#include <sys/wait.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>

#include "common/base/temporary.h"

namespace vitrine::testing {

using vitrine::TemporaryDirectory;

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
