// Stage two: batches through the student, losses, steps, phases, validation, checkpoints.
#ifndef VITRINE_TRAIN_TRAINER_H_
#define VITRINE_TRAIN_TRAINER_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "common/eval/accuracy.h"
#include "train/feature_transformer.h"
#include "train/network.h"
#include "train/optimizer.h"
#include "train/options.h"
#include "train/stream.h"
#include "train/targets.h"

namespace vitrine {

struct TrainResult {
  std::uint64_t steps = 0;
  bool finished = false;              ///< false: stopped before the schedule's end; resume goes on
  std::optional<Accuracy> validation, test;
  double wall_seconds = 0, core_seconds = 0, wait_share = 0;
  std::uint64_t images_seen = 0;
};

/// One run. Not for several threads. On a CPU, equal options (workers aside) give equal bits, stopped and resumed or not.
class Trainer {
 public:
  /// Scans the images, opens the targets, makes or loads the model, and resumes when asked to. Throws Error for anything that
  /// does not fit; nothing is written before run().
  explicit Trainer(const TrainOptions& options);
  ~Trainer();

  /// Trains to the schedule's end, options.max_steps or `stop`; leaves a checkpoint, log.csv, best.safetensors (with a validation folder),
  /// and at the end final.safetensors and summary.json in options.output.
  TrainResult run(const std::atomic<bool>& stop);

  /// The state as it stands: "model.NAME", "transformer.NAME", "optimizer.NAME". For checkpoints and tests.
  Tensors state();
  const TargetSource& source() const { return *source_; }
  std::uint64_t steps() const { return steps_; }

 private:
  struct Batch;
  std::unique_ptr<GroupStream> open_stream();
  at::Tensor with_noise(const at::Tensor& features, std::uint64_t step) const;
  void clip();
  std::optional<Batch> next_batch(GroupStream& stream);
  void enter_phase(const PhaseOptions& phase);
  LossTerms step(const Batch& batch, const SchedulePoint& point, std::uint64_t step);
  void describe() const;
  void save(std::uint64_t step, double seconds, double core_seconds);
  void restore();

  TrainOptions options_;
  at::Device device_;
  std::shared_ptr<const ImageIndex> index_;
  std::unique_ptr<TargetSource> source_;
  std::unique_ptr<ViewMaker> views_;
  Network network_;
  FeatureTransformer transformer_{nullptr};
  std::unique_ptr<Optimizer> optimizer_;
  TargetShapes shapes_;
  int size_;
  std::uint64_t groups_per_step_, steps_per_group_, steps_per_epoch_, steps_;
  std::uint64_t first_step_ = 0;
  double best_top1_ = -1, seconds_before_ = 0, core_seconds_before_ = 0;
  std::optional<GroupBatch> open_group_;  // what is left of a group larger than a batch
  std::uint32_t used_views_ = 0;
};

/// The settings of a run that change what it computes, one a line: what a checkpoint remembers.
std::string meaningful_settings(const TrainOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TRAINER_H_
