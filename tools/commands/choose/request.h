// What a user asks of `vitrine choose`, and how it is recorded beside the results.
#ifndef VITRINE_TOOLS_COMMANDS_CHOOSE_REQUEST_H_
#define VITRINE_TOOLS_COMMANDS_CHOOSE_REQUEST_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/commands/choose/candidate.h"
#include "tools/commands/vitrine/request_record.h"

namespace vitrine {

struct ChooseRequest {
  std::string config;                  ///< vitrine-train's TOML file
  std::vector<std::string> overrides;  ///< key=value, of that configuration
  std::string latency;                 ///< the bound, "5ms"
  std::string on = "vitrine";          ///< vitrine, onnxruntime, or a table measured elsewhere
  std::string precision = "fp32";      ///< of vitrine: fp32, bf16 or fp16
  std::vector<std::uint32_t> depths = {18, 34, 50, 101, 152}, widths = {32, 64};
  std::vector<std::uint32_t> sizes;  ///< usual_sizes() of the configuration's, where none are given
  std::uint32_t classes = 1000, threads = 1;
  double seconds = 1;    ///< of each measurement
  std::size_t most = 5;  ///< students to train
  std::string out;       ///< directory of the table, the runs and the choice
  std::filesystem::path python;

  bool measures() const { return on == "vitrine" || on == "onnxruntime"; }
  /// What the results depend on; paths are absolute, so that it does not matter how they were typed.
  nlohmann::ordered_json json() const;
};

/// For the directory of the results.
RequestRecord record_of(const ChooseRequest& request);

/// The side of the student's input as the configuration trains it: its `size`, else that of its cache's or its own
/// plan; 224 without a configuration. Throws Error for a configuration that cannot be read.
std::uint32_t training_size(const ChooseRequest& request);

/// Where every student starts from the configuration's model.weights, which fit one depth and one width: sets
/// request.widths to the file's, unless they are given. Throws Error, before anything is measured, for candidates that
/// the file does not fit. Nothing without a configuration or without weights.
void fit_weights(ChooseRequest& request, bool widths_given);

/// The costs of the request's candidates: read from the table in request.on or, from an earlier call, in request.out;
/// else measured, with a line on standard error that says how many, and one for each.
CostTable costs_of(const ChooseRequest& request);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CHOOSE_REQUEST_H_
