// The command line of vitrine-report.
#ifndef VITRINE_TOOLS_COMMANDS_REPORT_COMMAND_H_
#define VITRINE_TOOLS_COMMANDS_REPORT_COMMAND_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace vitrine {

/// How students are evaluated image by image.
struct EvaluateRequest {
  std::string images;                  ///< a folder; empty: the configuration's test or validation images
  std::vector<std::string> overrides;  ///< "key=value", over the run's config.toml
  std::vector<std::string> allow;      ///< as vitrine-train's --allow
  std::uint32_t hardest = 12;          ///< pictures with the largest loss that are stored
};

/// Evaluates a run and writes its evaluation.json. Given by the caller, so that the page is compiled without LibTorch.
using EvaluateRun = std::function<void(const std::filesystem::path& run, const EvaluateRequest& request)>;

/// Runs the command and returns its exit code. Throws Error.
int report_command(int argc, const char* const* argv, const EvaluateRun& evaluate);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_REPORT_COMMAND_H_
