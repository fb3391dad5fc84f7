// Stage two: batches through the student, losses, steps, phases, validation, checkpoints.
#ifndef VITRINE_TRAIN_RUN_TRAINER_H_
#define VITRINE_TRAIN_RUN_TRAINER_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/models/precision.h"
#include "train/evaluation/agreement.h"
#include "train/data/batches.h"
#include "train/run/checkpoint.h"
#include "train/optim/grad_scaler.h"
#include "train/student/network.h"
#include "train/matching/objective.h"
#include "train/optim/optimizer.h"
#include "train/run/options.h"
#include "train/run/provenance.h"
#include "train/targets/source.h"
#include "train/data/training_images.h"
#include "train/student/weight_average.h"
#include "train/student/weights_record.h"

namespace vitrine {

class Evaluation;
class RunLock;
class RunLog;
struct ModelClasses;

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

/// One run. Without labels (options.labels) no phase has a label term, r is 1, and the student's classes are the
/// teacher's. Not for several threads.
///
/// On a CPU, equal options (workers aside) and an equal number of threads give equal bits, stopped and gone on with or
/// not. options.threads = 0 takes a thread a core, so that a run that goes on with another number of cores is the same
/// run, but another number of threads adds in another order and may change the last bits.
class Trainer {
 public:
  /// Selects all devices, looks for the run to go on with in options.output (run_folder.h), scans the images, opens the
  /// targets, makes or loads the model. Throws Error for anything that does not fit, Stopped once `stop` is set;
  /// nothing is written before run().
  explicit Trainer(const TrainOptions& options, const StopFlag& stop = never_stop());
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the schedule's end, options.max_steps or `stop`, which acts between two steps and between two batches of
  /// everything else. Leaves config.toml, a checkpoint, log.csv, best.safetensors (when options.selection() is not
  /// kLast), and at the end final.safetensors and summary.json in options.output; files of weights know what they are
  /// (weights_record.h). What is judged and what best and final hold is the weights' moving average where there is one,
  /// in final with BatchNorm's statistics taken anew where that is asked for; the last checkpoint holds what training
  /// left. It is saved before each validation, so that one that was stopped is made again. A run that was finished
  /// before gives the result that it had, and nothing is written. Throws Stopped when `stop` is set before the first
  /// step.
  TrainResult run(const StopFlag& stop);

  /// The state as it stands, for checkpoints and tests: "model.NAME", "optimizer.NAME" and, where they are,
  /// "transformer.NAME", "exits.NAME", "average.NAME", "scaler.NAME".
  Tensors state();
  const TargetSource& source() const { return *source_; }
  std::uint64_t steps() const { return steps_; }

 private:
  struct Stepped {
    LossTerms terms;
    double loss = 0;
  };
  struct Validation;
  void check_provenance();
  void check_phases() const;
  void check_batch_norm() const;
  void choose_passes();
  void note_changed_length();
  void enter_phase(const PhaseOptions& phase);
  /// So many of its views are left out that no step is made of it: all, or all but one, of which BatchNorm has no
  /// statistics.
  bool too_few(const Batch& batch) const;
  Stepped step(const Batch& batch, const SchedulePoint& point, std::uint64_t number);
  void update(double lr);
  std::unique_ptr<RunLock> begin(const Validation* validation);
  std::unique_ptr<Validation> open_validation(const ModelClasses& classes, const StopFlag& stop) const;
  std::uint64_t train_to(std::uint64_t last, const Validation* validation, RunLog& log, const StopFlag& stop);
  void judge(const Validation& validation, const StopFlag& stop);
  bool judged(const Validation& validation, const StopFlag& stop);
  TrainResult result_after(std::uint64_t steps, double wait_share) const;
  double seconds() const;
  double used_core_seconds() const;
  void finish(const Evaluation* test, TrainResult& result, const StopFlag& stop);
  void reestimate_batch_norm(const StopFlag& stop);
  void describe() const;
  void describe_features() const;
  void keep_left_out(const Evaluation* validation, const Evaluation* test) const;
  void add_left_out_of(const Evaluation& images) const;
  WeightsRecord record(std::uint64_t step) const;
  void save(std::uint64_t step, bool to_judge);
  void restore();

  TrainOptions given_;    // as they were given
  TrainOptions options_;  // as_run()
  Allowance allowance_;
  at::Device device_;
  PrecisionScope precision_;
  std::optional<Checkpoint> resumed_;  // the run that was there
  TrainingImages images_;
  std::shared_ptr<const ImageIndex> index_;
  std::unique_ptr<TargetSource> source_;
  std::unique_ptr<ViewMaker> views_;
  std::size_t classes_;  // of the student
  Network network_;
  std::unique_ptr<Batches> batches_;
  std::unique_ptr<Objective> objective_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<WeightAverage> average_;  // or none
  std::unique_ptr<GradScaler> scaler_;      // with fp16
  int size_;
  std::uint64_t steps_per_epoch_, steps_;
  PassLists passes_;
  Checkpoint state_;    // what the next checkpoint says; `step` and on is of the last one
  bool saved_ = false;  // state_ stands in last.json
  std::uint64_t first_step_ = 0, other_pictures_before_ = 0, left_out_before_ = 0;
  double seconds_before_ = 0, core_seconds_before_ = 0, core_start_ = 0;
  std::chrono::steady_clock::time_point start_;
};

/// The result of the run in options.output, where it is finished and was of these options (as run_settings.h compares
/// them); nothing else. Only its JSON files are read. Throws Error for files that options name and that cannot be read.
std::optional<TrainResult> finished_run(const TrainOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_TRAINER_H_
