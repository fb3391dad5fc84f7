// What a run leaves beside its weights: log.csv, a line every few steps, and summary.json at its end, which is its
// result.
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

/// What a run came to.
struct TrainResult {
  std::uint64_t steps = 0;
  bool finished = false;  ///< false: stopped before the schedule's end, or in the last test; the same options go on
  bool already_finished = false;  ///< it was finished before, and nothing was done
  std::optional<Accuracy> validation, test;
  std::optional<double> agreement;  ///< on the validation images, where that is what chooses
  BestWeights best;                 ///< what best.safetensors holds, where it is there()
  double wall_seconds = 0, core_seconds = 0, wait_share = 0;
  std::uint64_t images_seen = 0;
  std::uint64_t left_out_views = 0;                           ///< of those: their pictures could not be had
  std::uint32_t size = 0;                                     ///< of the student's pictures
  std::vector<std::pair<std::string, std::uint32_t>> stages;  ///< which of its stages met which track (objective.h)
  std::optional<std::uint64_t> skipped_updates;               ///< by the gradient scaler, with fp16
  std::vector<AllowedDifference> allowed;  ///< met from the first step on, also before it was stopped
  std::vector<std::string> changes;        ///< likewise: its length or its passes, with the step
};

/// Processor time of this process, all threads, in seconds.
double core_seconds();

struct LogLine {
  std::uint64_t step = 0;  ///< from 1
  SchedulePoint point;
  double loss = 0;
  LossTerms terms;
  std::optional<double> scale;  ///< of the gradient scaler, after the step
  std::uint64_t skipped = 0;    ///< updates that the scaler left out so far
  double seconds = 0, wait_share = 0, core_seconds = 0;
};

class RunLog {
 public:
  /// Goes on with a log that is there: lines beyond `first_step` (of a run that was stopped after its last checkpoint)
  /// are dropped, as are lines that were cut off. Throws Error when the directory cannot be written.
  RunLog(const std::filesystem::path& directory, std::uint64_t first_step);

  /// Absent terms and a scaler that is not there are empty cells.
  void add(const LogLine& line);
  /// Into mapping.csv, beside log.csv: a line for each stage and track, with the mean weight.
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
