// Progress line, log lines and learning findings of a run.
//
// The progress line's loss is the mean over the phase's last ten logged steps: between them the loss is not read, which
// would wait for the GPU, and that of a single batch scatters.
#ifndef VITRINE_TRAIN_RUN_MONITOR_H_
#define VITRINE_TRAIN_RUN_MONITOR_H_

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "common/base/progress.h"
#include "train/losses/terms.h"
#include "train/optim/schedule.h"
#include "train/run/learning.h"
#include "train/run/metrics.h"
#include "train/run/output_statistics.h"
#include "train/run/run_log.h"

namespace vitrine {

struct MonitorOptions {
  std::uint64_t steps = 0;  ///< of the whole schedule
  std::uint64_t steps_per_epoch = 1;
  std::uint32_t batch = 1;
  std::uint64_t passes = 0;  ///< that an epoch may use; each is one epoch of new views
  double temperature = 1;    ///< of the output term
  double lr_factor = 1;      ///< see LearningEvidence
  bool comparable = true;    ///< see OutputStatistics
};

/// Not thread-safe.
class Monitor {
 public:
  /// `log` must outlive this object. Goes on with the phase and the epochs of log.take_earlier(). `first_step`: steps
  /// done.
  Monitor(const MonitorOptions& options, RunLog& log, std::uint64_t first_step);

  /// To be filled by the steps whose loss is read.
  OutputStatistics& statistics() { return statistics_; }

  /// Call before each step. `norms` returns the L2 norm of each tensor that learns; it is called before a phase's first
  /// step in this process.
  void before(const SchedulePoint& point, const std::function<std::vector<double>()>& norms);
  /// Call after each step: counts its images and draws the progress.
  void after(const SchedulePoint& point, double wait_share);
  /// Call after after(), for a logged step: completes a line (moment, terms, images per second) and adds it to the log.
  /// `step`: steps done.
  void add_line(std::uint64_t step, const SchedulePoint& point, const LossTerms& terms, StepMetrics line);
  /// Call after the last step of an epoch or phase, before its checkpoint is saved: logs what the numbers show. Prints
  /// all of it at the end of a phase, else only problems that the phase has not had before. Returns the words of
  /// learning_words() for the epoch's line; empty at the end of a phase, which has been printed, and where nothing was
  /// measured.
  std::string conclude(std::uint64_t step, const SchedulePoint& point, bool phase_ends,
                       const std::vector<double>& norms);

  /// The time until the next step is no training: a checkpoint, a validation. Call it once the device is idle.
  void pause();

  /// Ends the progress line.
  void finish() { progress_.finish(); }

 private:
  RunMoment moment_of(std::uint64_t step, const SchedulePoint& point) const;
  void begin_phase(const PhaseOptions& phase, std::vector<double> norms);
  void count_time();
  void take(const RunMoment& at, const nlohmann::ordered_json& line);
  void count_epoch();

  MonitorOptions options_;
  RunLog& log_;
  OutputStatistics statistics_;
  Progress progress_;
  std::uint64_t step_;                // steps done
  std::string phase_;                 // begun in this process
  LearningEvidence evidence_;         // of the phase so far
  std::set<std::string> problems_;    // printed in this phase
  RunMoment last_line_;               // of the log
  std::vector<double> epoch_output_;  // output terms of its epoch, unless that is complete
  std::vector<EpochLoss> epochs_;     // complete ones
  std::deque<double> recent_;         // the last losses
  bool paused_ = true;
  std::chrono::steady_clock::time_point counted_;  // up to here; unless paused_
  double trained_seconds_ = 0;                     // since the last line
  std::uint64_t images_ = 0;                       // likewise
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_MONITOR_H_
