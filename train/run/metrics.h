// The events of a run's metrics, as values: what a line of metrics.jsonl says. README.md here lists the keys.
//
// A quantity that was not measured, or is not finite (the loss of a step that was not made, or overflowed in FP16), is
// absent: it has no key and an empty cell. Epochs count from 1, steps are steps done, shares are in [0, 1].
#ifndef VITRINE_TRAIN_RUN_METRICS_H_
#define VITRINE_TRAIN_RUN_METRICS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "train/losses/loss_weights.h"
#include "train/losses/term_table.h"
#include "train/run/learning.h"

namespace vitrine {

/// When an event happened.
struct RunMoment {
  std::uint64_t step = 0;
  std::uint64_t epoch = 0;
  std::string phase;  ///< "align", "joint" or "fine_tune"
};

struct StepMetrics {
  RunMoment at;
  double lr = 0;
  double loss = 0;                       ///< the weighted sum of the terms
  PerTerm<std::optional<double>> terms;  ///< unweighted, each a mean over the batch
  LossWeights weights;                   ///< as used
  std::optional<double> gradient_norm;   ///< L2, over all gradients together, before clipping
  double images_per_second = 0;          ///< since the last line, without validations and checkpoints
  double seconds = 0;                    ///< of the whole run, over all its processes
  double wait_share = 0;                 ///< of this process's time, spent waiting for data
  double core_seconds = 0;               ///< CPU time of the whole run
  std::optional<double> scale;           ///< of the gradient scaler, after the step
  std::uint64_t skipped = 0;             ///< updates that it skipped so far
};

struct ValidationMetrics {
  RunMoment at;
  std::uint64_t images = 0;
  std::optional<double> top1, top5, loss, agreement;
  bool best = false;              ///< the best so far by the run's criterion
  double validation_seconds = 0;  ///< that it took
};

/// What was found out about learning at the end of a phase or epoch (learning.h).
struct PhaseMetrics {
  RunMoment at;
  std::vector<LearningFinding> findings;
};

struct EndMetrics {
  std::uint64_t step = 0;
  double seconds = 0;               ///< of the whole run
  std::optional<double> top1;       ///< of the weights that are used (run_result.h)
  std::string on;                   ///< "test" or "validation"; empty without top1
  std::optional<double> last_top1;  ///< of the last weights, if those are others
};

/// The line's object, keys in the order of the page.
nlohmann::ordered_json to_json(const StepMetrics& metrics);
nlohmann::ordered_json to_json(const ValidationMetrics& metrics);
nlohmann::ordered_json to_json(const PhaseMetrics& metrics);
nlohmann::ordered_json to_json(const EndMetrics& metrics);

/// The columns of metrics.csv, "step,event,...", and the row of a step or validation: the text that the line of
/// metrics.jsonl has for each key, or an empty cell. Without line ends.
std::string metrics_heading();
std::string metrics_row(const nlohmann::ordered_json& line);
/// Whether the table has rows for such a line: for steps and validations.
bool in_metrics_table(const nlohmann::ordered_json& line);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_METRICS_H_
