// Runs the extractor with a signal at a given write.
#ifndef VITRINE_TESTS_EXTRACT_INTERRUPTED_H_
#define VITRINE_TESTS_EXTRACT_INTERRUPTED_H_

#include <string>

#include "tests/extract/fixture.h"

namespace vitrine::testing {

inline constexpr int kBySignal = 128;  // as a shell reports death by a signal

/// Runs a command line of the extractor that gets `signal` at `place` (signal_at.cpp): "shard N", after publishing its
/// N-th file of recipes, or "step N", before its N-th write, flush or rename. Returns its exit code, or kBySignal plus
/// the signal that killed it. Its messages are in errors.txt.
inline int interrupted_command(const ExtractFixture& fixture, const std::string& command, int signal,
                               const std::string& place) {
  const CommandResult result =
      run("( SIGNAL_AT='" + std::to_string(signal) + " " + place + "' LD_PRELOAD='" + executable("libsignal_at.so") +
          "' " + command + " > '" + (fixture.root / "log.txt").string() + "'; echo $? )");
  const int code = std::stoi(result.output.substr(result.output.rfind('\n', result.output.size() - 2) + 1));
  write_whole(fixture.root / "errors.txt", result.output);
  return code;
}

}  // namespace vitrine::testing

#endif  // VITRINE_TESTS_EXTRACT_INTERRUPTED_H_
