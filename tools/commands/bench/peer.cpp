#include "tools/commands/bench/peer.h"

#include <cstdio>

#include "common/base/error.h"

namespace vitrine::bench {

std::optional<nlohmann::json> ask_peer(const std::filesystem::path& python, const std::string& script,
                                       const std::string& arguments) {
  const std::string command =
      text("'", python.string(), "' '", VITRINE_SOURCE, "/tools/commands/bench/peers/", script, "' ", arguments);
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

}  // namespace vitrine::bench
