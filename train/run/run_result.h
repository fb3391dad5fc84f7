// log.csv, with a line every few steps, and summary.json, the result at a run's end.
#ifndef VITRINE_TRAIN_RUN_RUN_LOG_H_
#define VITRINE_TRAIN_RUN_RUN_LOG_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/eval/accuracy.h"
#include "train/losses/terms.h"
#include "train/matching/objective.h"
#include "train/optim/schedule.h"
#include "train/run/checkpoint.h"
#include "train/run/provenance.h"

namespace vitrine {

/// The result of a run.
struct TrainResult {
  std::uint64_t steps = 0;
  bool finished = false;  ///< false: stopped before the schedule's end or during the test; the same options resume it
  bool already_finished = false;  ///< the run was finished before; nothing was done
  std::optional<Accuracy> validation, test;
  std::optional<double> agreement;  ///< on the validation images, when it is the criterion
  BestWeights best;                 ///< the weights in best.safetensors, if there()
  double wall_seconds = 0, core_seconds = 0, wait_share = 0;
  std::uint64_t images_seen = 0;
  std::uint64_t left_out_views = 0;                           ///< of images_seen: their pictures could not be read
  std::uint32_t size = 0;                                     ///< of the student's pictures
  std::vector<std::pair<std::string, std::uint32_t>> stages;  ///< the stage paired with each track (objective.h)
  std::optional<std::uint64_t> skipped_updates;               ///< by the gradient scaler, with fp16
  std::vector<AllowedDifference> allowed;                     ///< over the whole run, including earlier processes
  std::vector<std::string> changes;                           ///< likewise: changes of length or passes, with the step
};

/// CPU time of this process, all threads, in seconds.
double core_seconds();

struct LogLine {
  std::uint64_t step = 0;  ///< from 1
  SchedulePoint point;
  double loss = 0;
  LossTerms terms;
  std::optional<double> scale;  ///< of the gradient scaler, after the step
  std::uint64_t skipped = 0;    ///< updates skipped by the scaler so far
  double seconds = 0, wait_share = 0, core_seconds = 0;
};

class RunLog {
 public:
  /// Goes on with a log that is there: lines beyond `first_step` (of a run that was stopped after its last checkpoint)
  /// are dropped, as are lines that were cut off. Throws Error when the directory cannot be written.
  RunLog(const std::filesystem::path& directory, std::uint64_t first_step);

  /// Absent terms and an absent scaler give empty cells.
  void add(const LogLine& line);
  /// Writes to mapping.csv, beside log.csv: a line per stage and track, with the mean weight.
  void add(std::uint64_t step, const Objective::Mapped& mapped);

 private:
  std::filesystem::path directory_;
  std::uint64_t first_step_;
  std::ofstream out_, mapping_;
};

void write_summary(const std::filesystem::path& directory, const TrainResult& result);
/// The result of a finished run, from its summary.json. Nothing where there is none. Throws Error when it is damaged.
std::optional<TrainResult> read_summary(const std::filesystem::path& directory);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_LOG_H_
