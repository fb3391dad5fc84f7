// The training loop: one step per batch, with validations and checkpoints between steps.
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
#include "train/run/run_result.h"
#include "train/run/run_state.h"
#include "train/run/step.h"
#include "train/student/student.h"
#include "train/targets/source.h"

namespace vitrine {

class Evaluator;

/// One run. With options.labels = kNone no phase has a label term, r is 1, and the student's classes are the teacher's.
/// Not thread-safe.
///
/// On a CPU, equal options (except workers) and an equal number of threads give equal bits, whether or not the run was
/// stopped and resumed. With options.threads = 0 a run may resume on another number of cores; another number of threads
/// sums in another order and may change the last bits.
class Trainer {
 public:
  /// Selects devices, looks for a run to resume in options.output (run_folder.h), scans the images, opens the targets,
  /// makes or loads the model. Writes nothing. Throws Error for anything that does not fit, and Stopped once `stop` is
  /// set.
  explicit Trainer(const TrainOptions& options, const StopFlag& stop = never_stop());
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the schedule's end, options.max_steps or `stop`. Writes the files of run_files.h into options.output:
  /// the best weights unless options.selection() is kLast, the last weights and the summary at the end; files of
  /// weights carry a record (weights_record.h). Validation, best and last weights use the moving average if there is
  /// one, the last with re-estimated BatchNorm statistics if batch_norm_batches is set, with which they are validated
  /// once more; the checkpoint holds the raw training state. A run that was finished before returns its earlier result
  /// and writes nothing.
  ///
  /// `stop` may be set at any time, by any thread. It is checked between two steps and between two batches of
  /// everything else. While the validation and test images are scanned and the teacher runs on them, before anything is
  /// written, it throws Stopped. After that it does not throw: the result has `finished` = false, and options.output
  /// has a checkpoint of the last step, from which the same options continue to the same end. A checkpoint is saved
  /// before each validation, so that an interrupted validation is repeated.
  TrainResult run(const StopFlag& stop);

  /// What run() would do before its first step, without writing anything: scans the validation and test images and
  /// prints the length of the run, its phases, tracks, labels and memory. Throws as run() does.
  void check(const StopFlag& stop);

  /// The current state, for checkpoints and tests: tensors_of() (run_state.h).
  Tensors state();
  const TargetSource& source() const { return *source_; }
  /// Steps of the whole schedule.
  std::uint64_t steps() const { return steps_; }

 private:
  Learners learners() { return {student_, *objective_, *step_}; }
  void check_provenance();
  void restore();
  void note_changed_length();
  void describe() const;
  void begin(const Evaluator& evaluator);
  void check_weights(std::uint64_t step);
  void save(std::uint64_t step, bool validation_due);
  Batch next_batch();
  SchedulePoint point_at(std::uint64_t step) const;
  std::uint64_t train(std::uint64_t last, const Evaluator& evaluator, RunLog& log, const StopFlag& stop);
  void add_first_views(EventFile& events) const;
  StepMetrics metrics_of(const SchedulePoint& point, const Step::Result& result) const;
  TrainResult result_after(std::uint64_t steps) const;
  void evaluate_weights(const Evaluator& evaluator, TrainResult& result, const StopFlag& stop);
  void finish(const Evaluator& evaluator, TrainResult& result, RunLog& log, const StopFlag& stop);
  void reestimate_batch_norm(const StopFlag& stop);

  TrainOptions given_;    // as given by the user
  TrainOptions options_;  // as_run()
  Allowance allowance_;
  at::Device device_;
  PrecisionScope precision_;
  std::optional<Checkpoint> resumed_;  // the run found in options.output
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
  bool other_picture_met_ = false;  // a picture that differs from the teacher's, allowed by the user
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_TRAINER_H_
