// One step of training: forward, terms, backward, scaler, clipping, update. Data-parallel training or CUDA graph
// capture would change this file only.
#ifndef VITRINE_TRAIN_RUN_STEP_H_
#define VITRINE_TRAIN_RUN_STEP_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "common/models/torch_errors.h"
#include "train/data/batches.h"
#include "train/losses/terms.h"
#include "train/matching/objective.h"
#include "train/optim/grad_scaler.h"
#include "train/optim/optimizer.h"
#include "train/optim/schedule.h"
#include "train/run/output_statistics.h"
#include "train/student/student.h"

namespace vitrine {

/// The part of the run's options that determines a step.
struct StepOptions {
  std::uint32_t micro_batch = 64;  ///< views per forward; gradients accumulate over the batch; at least 1
  std::uint64_t seed = 0;          ///< of the noise
  double feature_noise = 0;        ///< added to the teacher's features, in standard deviations of each channel
  double clip_norm = 0;            ///< largest L2 norm of all gradients together; 0: no clipping
  LossOptions loss;
  std::optional<double> r;  ///< overrides the schedule's r
  OptimizerOptions optimizer;
  std::optional<ScalerOptions> scaler;  ///< for an FP16 student
};

/// Remedies for errors of a step, for with_torch_errors().
extern const ComputeAdvice kStepAdvice;

/// Not thread-safe.
class Step {
 public:
  /// Makes an optimizer of all parameters of the student and the objective's modules. Both must outlive this object.
  Step(const StepOptions& options, Student& student, Objective& objective);

  struct Result {
    LossTerms terms;      ///< of the whole batch, detached; undefined if no step was made
    LossWeights weights;  ///< as used
    double loss = 0;      ///< their weighted sum; NaN unless read_loss, or if no step was made
    /// L2, of all gradients together before clipping; absent unless read_loss, or if the scaler skipped the update.
    std::optional<double> gradient_norm;
  };
  /// Updates what learns in the point's phase, with its learning rate. `number`: the step, from 0 over the whole run;
  /// seeds the noise. A batch with too_few() views makes no update. `read_loss`: reads the loss, which synchronises
  /// with a GPU, and throws Error when it is not finite; adds the outputs to the statistics.
  Result make(const Batch& batch, const SchedulePoint& point, std::uint64_t number, bool read_loss);

  /// Whether so many views were left out that no step is made: all, or all but one, which BatchNorm cannot normalise.
  bool too_few(const Batch& batch) const;

  /// `statistics` (may be null) must outlive this object, or be replaced.
  void measure_into(OutputStatistics* statistics) { statistics_ = statistics; }
  /// The L2 norm of each tensor that the optimizer may update.
  std::vector<double> norms() const;

  Optimizer& optimizer() { return *optimizer_; }
  /// Null except for an FP16 student.
  GradScaler* scaler() { return scaler_.get(); }

 private:
  LossTerms backward(const Batch& batch, const PhaseOptions& phase, const LossWeights& weights, bool observed);
  at::Tensor update(const SchedulePoint& point, bool measured);
  double read(const LossTerms& terms, const LossWeights& weights, const PhaseOptions& phase,
              std::uint64_t number) const;

  StepOptions options_;
  Student& student_;
  Objective& objective_;
  OutputStatistics* statistics_ = nullptr;
  NamedParameters parameters_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<GradScaler> scaler_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_STEP_H_
