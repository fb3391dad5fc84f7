// What a run leaves beside its weights: log.csv, a line every few steps, and summary.json at its end.
#ifndef VITRINE_TRAIN_RUN_LOG_H_
#define VITRINE_TRAIN_RUN_LOG_H_

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>

#include "train/losses.h"
#include "train/schedule.h"

namespace vitrine {

struct TrainResult;

/// Processor time of this process, all threads, in seconds.
double core_seconds();

class RunLog {
 public:
  /// Goes on with a log that is there: lines beyond `first_step` (of a run that was stopped after its last checkpoint) are
  /// dropped. Throws Error when the directory cannot be written.
  RunLog(const std::filesystem::path& directory, std::uint64_t first_step);

  /// `step` counts from 1; absent terms are empty cells.
  void add(std::uint64_t step, const SchedulePoint& point, double loss, const LossTerms& terms, double seconds, double wait_share,
           double core_seconds);

 private:
  std::ofstream out_;
};

void write_summary(const std::filesystem::path& directory, const TrainResult& result);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_LOG_H_
