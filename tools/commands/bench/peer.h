// A peer in Python that a benchmark is held against.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vitrine::bench {

/// Runs tools/commands/bench/peers/SCRIPT with `arguments` as a shell reads them, and returns the JSON that it prints;
/// nothing when it cannot be run or ends with an error, which it has told on standard error.
std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_PEER_H_
