// The log of a run: metrics.jsonl, the same numbers as a table in metrics.csv and as TensorBoard's events, and
// mapping.csv.
#ifndef VITRINE_TRAIN_RUN_RUN_LOG_H_
#define VITRINE_TRAIN_RUN_RUN_LOG_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "train/matching/objective.h"
#include "train/run/event_file.h"
#include "train/run/metrics.h"
#include "train/run_files/run_files.h"

namespace vitrine {

/// Where a run resumes: the step of its checkpoint, and what that has of the events at that step.
struct LogStart {
  std::uint64_t step = 0;
  bool validation_due = false;  ///< the validation due after `step` is still to be made
  bool finished = false;        ///< the run ended at `step`
};

/// Appends to the log. Each line is flushed when it is added. Not thread-safe.
///
/// A line belongs to the checkpoint of its step: lines are added before the checkpoint that includes them is written,
/// so that a run resumed from it has each event once. On resume, lines that the checkpoint does not include are
/// dropped, as are lines that a dying machine cut off; metrics.csv is made again from metrics.jsonl.
class RunLog {
 public:
  /// `directory`: the run's. Throws Error when it cannot be written.
  RunLog(const std::filesystem::path& directory, const LogStart& start);

  /// metrics.jsonl, metrics.csv and events/; a number KEY of an event EVENT is the scalar EVENT/KEY there, of a step
  /// train/KEY. Throw Error when a file cannot be written.
  void add(const StepMetrics& metrics) { add_line(to_json(metrics)); }
  void add(const ValidationMetrics& metrics) { add_line(to_json(metrics)); }
  void add(const PhaseMetrics& metrics) { add_line(to_json(metrics)); }
  void add(const EndMetrics& metrics) { add_line(to_json(metrics)); }
  /// Adds to mapping.csv: a line per stage and track, with the mean weight.
  void add(std::uint64_t step, const Objective::Mapped& mapped);

  /// For histograms and pictures, which are in no other file.
  EventFile& events() { return *events_; }
  /// The line of the last validation, of this process or an earlier one that the checkpoint includes; null: none yet.
  const nlohmann::ordered_json& last_validation() const { return last_validation_; }
  /// The lines of earlier processes that the checkpoint includes, in their order; empty when they were taken before.
  std::vector<nlohmann::ordered_json> take_earlier() { return std::exchange(earlier_, {}); }

 private:
  void add_line(const nlohmann::ordered_json& line);
  void add_scalars(const nlohmann::ordered_json& line);

  RunFiles files_;
  LogStart start_;
  std::vector<nlohmann::ordered_json> earlier_;
  nlohmann::ordered_json last_validation_;
  std::ofstream lines_, table_, mapping_;
  std::optional<EventFile> events_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_LOG_H_
