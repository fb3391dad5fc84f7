// What `vitrine choose` shows and leaves: the candidates' table, the drawing, the choice.
#ifndef VITRINE_TOOLS_COMMANDS_CHOOSE_OUTCOME_H_
#define VITRINE_TOOLS_COMMANDS_CHOOSE_OUTCOME_H_

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "tools/commands/choose/decide.h"

namespace vitrine {

/// All candidates by ascending latency, with those that will be trained and why the others will not.
std::string plan_table(const std::vector<CandidateCost>& costs, const std::vector<CandidateCost>& chosen, double bound);

/// The score of a finished run: of the best weights on the validation images, else on the test images.
struct RunScore {
  double value = 0;            ///< in [0, 1]
  std::string what;            ///< "best top-1 on the validation images"
  std::optional<double> test;  ///< top-1 on the test images, where that is not `value`: nothing is chosen by it
};
/// Throws Error if the run is not finished or has no score.
RunScore score_of(const std::filesystem::path& run);

struct Outcome {
  std::vector<TrainedCandidate> trained;
  std::string score;  ///< what it is, of all of them
  double bound = 0;   ///< seconds
  MeasuredOn on;      ///< of the latencies
};

std::string outcome_table(const Outcome& outcome);
/// Score against latency as an SVG file: every student, the edge as a line, the choice named.
std::string outcome_drawing(const Outcome& outcome);
nlohmann::ordered_json outcome_json(const Outcome& outcome);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CHOOSE_OUTCOME_H_
