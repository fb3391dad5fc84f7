// Runs one of the other programs as a child process.
#ifndef VITRINE_TOOLS_COMMANDS_VITRINE_CHILD_H_
#define VITRINE_TOOLS_COMMANDS_VITRINE_CHILD_H_

#include <filesystem>
#include <string>
#include <vector>

namespace vitrine {

/// Runs `program` with `arguments` (those after its name) and waits. `shown`: its argv[0]. It shares this process's
/// standard streams. SIGINT, SIGTERM, SIGHUP and SIGUSR1 that a process sends to this one are passed on; a terminal's
/// Ctrl-C reaches both by itself. Either sets the flag of stop_on_signals(), and this process goes on to wait. If it
/// dies, the child gets SIGTERM. Returns the child's exit code; kStoppedExitCode if one of these signals ended it after
/// one came here; else 128 + the signal that ended it. Call from one thread at a time. Throws Error if it cannot be
/// started.
int run_program(const std::filesystem::path& program, const std::string& shown,
                const std::vector<std::string>& arguments);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_VITRINE_CHILD_H_
