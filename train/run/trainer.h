// Stage two: batches through the student, a step for each, validations and checkpoints between them.
#ifndef VITRINE_TRAIN_RUN_TRAINER_H_
#define VITRINE_TRAIN_RUN_TRAINER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "common/base/stop.h"
#include "common/models/precision.h"
#include "train/data/batches.h"
#include "train/data/training_images.h"
#include "train/matching/objective.h"
#include "train/run/checkpoint.h"
#include "train/run/options.h"
#include "train/run/provenance.h"
#include "train/run/run_log.h"
#include "train/run/run_state.h"
#include "train/run/step.h"
#include "train/student/student.h"
#include "train/targets/source.h"

namespace vitrine {

class Judge;

/// One run. Without labels (options.labels) no phase has a label term, r is 1, and the student's classes are the
/// teacher's. Not for several threads.
///
/// On a CPU, equal options (workers aside) and an equal number of threads give equal bits, stopped and gone on with or
/// not. options.threads = 0 takes a thread per core, so that a run that goes on with another number of cores is the
/// same run, but another number of threads adds in another order and may change the last bits.
class Trainer {
 public:
  /// Selects all devices, looks for the run to go on with in options.output (run_folder.h), scans the images, opens the
  /// targets, makes or loads the model. Throws Error for anything that does not fit, Stopped once `stop` is set;
  /// nothing is written before run().
  explicit Trainer(const TrainOptions& options, const StopFlag& stop = never_stop());
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the schedule's end, options.max_steps or `stop`. Leaves config.toml, a checkpoint, log.csv,
  /// best.safetensors (when options.selection() is not kLast), and at the end final.safetensors and summary.json in
  /// options.output; files of weights know what they are (weights_record.h). What is judged and what best and final
  /// hold is the weights' moving average where there is one, in final with BatchNorm's statistics taken anew where that
  /// is asked for; the last checkpoint holds what training left. A run that was finished before gives the result that
  /// it had, and nothing is written.
  ///
  /// `stop` may be set at any time, by any thread. It acts between two steps and between two batches of everything
  /// else. Set while the validation and test images are scanned and the teacher is asked about them, before anything is
  /// written: throws Stopped. From then on nothing is thrown for it: the result says `finished` = false, and a
  /// checkpoint of the last step done is in options.output, with which the same options go on to the same end. It is
  /// saved before each validation, so that one that was stopped is made again.
  TrainResult run(const StopFlag& stop);

  /// The state as it stands, for checkpoints and tests: tensors_of() (run_state.h).
  Tensors state();
  const TargetSource& source() const { return *source_; }
  /// Of the whole schedule.
  std::uint64_t steps() const { return steps_; }

 private:
  Learners learners() { return {student_, *objective_, *step_}; }
  void check_provenance();
  void restore();
  void note_changed_length();
  void describe() const;
  void begin(const Judge& judge);
  void save(std::uint64_t step, bool to_judge);
  Batch next_batch();
  SchedulePoint point_at(std::uint64_t step) const;
  std::uint64_t train(std::uint64_t last, const Judge& judge, const StopFlag& stop);
  void add_log_line(RunLog& log, std::uint64_t step, const SchedulePoint& point, const Step::Result& result);
  TrainResult result_after(std::uint64_t steps) const;
  void finish(const Judge& judge, TrainResult& result, const StopFlag& stop);
  void reestimate_batch_norm(const StopFlag& stop);

  TrainOptions given_;    // as they were given
  TrainOptions options_;  // as_run()
  Allowance allowance_;
  at::Device device_;
  PrecisionScope precision_;
  std::optional<Checkpoint> resumed_;  // the run that was there
  TrainingImages images_;
  std::unique_ptr<TargetSource> source_;
  int size_;             // of the student's pictures
  std::size_t classes_;  // of the student
  Student student_;
  ViewMaker views_;
  PassLists passes_;
  std::unique_ptr<Batches> batches_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Step> step_;
  std::uint64_t steps_;
  RunState state_;
  bool other_picture_met_ = false;  // one that the teacher did not see, and the user allowed
};

/// The result of the run in options.output, where it is finished and was of these options (as run_settings.h compares
/// them); nothing else. Only its JSON files are read. Throws Error for files that options name and that cannot be read.
std::optional<TrainResult> finished_run(const TrainOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_TRAINER_H_
