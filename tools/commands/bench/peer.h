// Runs the Python program that a benchmark is compared with.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vitrine::bench {

/// Runs tools/commands/bench/peers/SCRIPT with `arguments`, quoted for a shell, and returns the JSON that it prints;
/// nullopt when it cannot be run or fails, with its message on standard error.
std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
