// Runs the Python programs that benchmarks are compared with.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vitrine::bench {

/// The Python of the test peers, which tools/setup.sh installs beside the sources; where there is none, that in the
/// environment variable PYTHON, else "python3", which is looked up in PATH.
std::filesystem::path default_python();

/// The file of a peer: installed or bundled with this program, else tools/commands/bench/peers/SCRIPT of the sources
/// that it was built from. Throws Error, kInput, naming the former, where neither exists.
std::filesystem::path peer_script(const std::string& script);

// From a bundle, Python programs have the LD_LIBRARY_PATH with which it was started, without the bundle's LibTorch.

/// Runs a peer_script() with `arguments`, quoted for a shell, and returns the JSON that it prints; nullopt when it
/// is missing, cannot be run or fails, with the reason on standard error.
std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments);

/// A Python program that stays: it answers each line of JSON with one, so that figures of both sides can be taken in
/// turn. Its standard error is this process's. It ends with this object.
class PeerProcess {
 public:
  /// Starts a peer_script(). Throws Error as that does, and where no process can be started; an absent `python` shows
  /// at the first ask().
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
