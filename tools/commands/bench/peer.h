// Runs the Python programs that benchmarks are compared with.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vitrine::bench {

/// The Python of the test peers, which tools/setup.sh installs.
std::filesystem::path default_python();

/// Runs tools/commands/bench/peers/SCRIPT with `arguments`, quoted for a shell, and returns the JSON that it prints;
/// nullopt when it cannot be run or fails, with its message on standard error.
std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments);

/// A Python program that stays: it answers each line of JSON with one, so that figures of both sides can be taken in
/// turn. Its standard error is this process's. It ends with this object.
class PeerProcess {
 public:
  /// Starts tools/commands/bench/peers/SCRIPT. An absent `python` shows at the first ask().
  PeerProcess(const std::filesystem::path& python, const std::string& script);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  /// Sends a request and waits for the answer. nullopt once the program has ended.
  std::optional<nlohmann::json> ask(const nlohmann::json& request);

 private:
  int socket_ = -1, process_ = -1;
  std::string received_;
};

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
