// The decisions of `vitrine choose`: pure functions.
#ifndef VITRINE_TOOLS_COMMANDS_CHOOSE_DECIDE_H_
#define VITRINE_TOOLS_COMMANDS_CHOOSE_DECIDE_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "tools/commands/choose/candidate.h"

namespace vitrine {

/// The candidates that are worth training: those within `bound` seconds that no other dominates. Before training
/// multiply-adds and parameters stand in for accuracy: a candidate is dominated by one that is no slower, has no fewer
/// of either, and differs in one of the three. Of more than `most`, the slowest, which can be expected to be the most
/// accurate. In descending order of latency.
std::vector<CandidateCost> worth_training(const std::vector<CandidateCost>& costs, double bound, std::size_t most);

struct TrainedCandidate {
  CandidateCost cost;
  double score = 0;                 ///< in [0, 1]; the larger the better
  std::optional<double> test = {};  ///< top-1 on the test images, where that is not the score
};

/// The indices of those that no other dominates in latency and score, by ascending latency.
std::vector<std::size_t> edge_of(const std::vector<TrainedCandidate>& trained);
/// The index of the best score within `bound` seconds, of equal ones the quicker; nullopt if none is within it.
std::optional<std::size_t> choose(const std::vector<TrainedCandidate>& trained, double bound);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CHOOSE_DECIDE_H_
