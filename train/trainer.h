// Stage two: batches through the student, losses, steps, phases, validation, checkpoints.
#ifndef VITRINE_TRAIN_TRAINER_H_
#define VITRINE_TRAIN_TRAINER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/eval/accuracy.h"
#include "train/agreement.h"
#include "train/batches.h"
#include "train/grad_scaler.h"
#include "train/network.h"
#include "train/objective.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/provenance.h"
#include "train/targets.h"
#include "train/training_images.h"
#include "train/weight_average.h"

namespace vitrine {

class Evaluation;

struct TrainResult {
  std::uint64_t steps = 0;
  bool finished = false;  ///< false: stopped before the schedule's end; resume goes on
  std::optional<Accuracy> validation, test;
  std::optional<double> agreement;  ///< on the validation images, where that is what chooses
  double wall_seconds = 0, core_seconds = 0, wait_share = 0;
  std::uint64_t images_seen = 0;
  std::uint64_t left_out_views = 0;  ///< of those, since this process began: their pictures could not be had
  std::optional<std::uint64_t> skipped_updates;  ///< by the gradient scaler, with fp16
  std::vector<AllowedDifference> allowed;        ///< met from the first step on, also before it was resumed
};

/// One run. Without labels (options.labels) no phase has a label term, r is 1, and the student's classes are the
/// teacher's. Not for several threads. On a CPU, equal options (workers aside) give equal bits, stopped and resumed or
/// not.
class Trainer {
 public:
  /// Scans the images, opens the targets, makes or loads the model, and resumes when asked to. Throws Error for
  /// anything that does not fit; nothing is written before run().
  explicit Trainer(const TrainOptions& options);
  ~Trainer();
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains to the schedule's end, options.max_steps or `stop`; leaves a checkpoint, log.csv, best.safetensors (when
  /// options.selection() is not kLast), and at the end final.safetensors and summary.json in options.output. What is
  /// judged and what best and final hold is the weights' moving average where there is one, in final with BatchNorm's
  /// statistics taken anew where that is asked for; the last checkpoint holds what training left.
  TrainResult run(const std::atomic<bool>& stop);

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
  void check_provenance();
  void check_phases() const;
  void enter_phase(const PhaseOptions& phase);
  /// So many of its views are left out that no step is made of it: all, or all but one, of which BatchNorm has no
  /// statistics.
  bool too_few(const Batch& batch) const;
  Stepped step(const Batch& batch, const SchedulePoint& point, std::uint64_t number);
  struct Validation;
  void update(double lr);
  std::string judge(const Validation& validation, TrainResult& result);
  void finish(const Evaluation* test, TrainResult& result);
  void reestimate_batch_norm();
  void describe() const;
  void keep_left_out(const Evaluation* validation, const Evaluation* test) const;
  void add_left_out_of(const Evaluation& images) const;
  void save(std::uint64_t step, double seconds, double core_seconds);
  void restore();

  TrainOptions options_;
  Allowance allowance_;
  at::Device device_;
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
  std::uint64_t first_step_ = 0, other_pictures_before_ = 0;
  double best_score_ = -1, seconds_before_ = 0, core_seconds_before_ = 0;
};

/// The settings of a run that change what it computes, one a line: what a checkpoint remembers.
std::string meaningful_settings(const TrainOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TRAINER_H_
