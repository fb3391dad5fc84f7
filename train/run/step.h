// One step of training: forward, terms, backward, scaler, clipping, update. All that several processes or a captured
// graph would change is here.
#ifndef VITRINE_TRAIN_RUN_STEP_H_
#define VITRINE_TRAIN_RUN_STEP_H_

#include <torch/torch.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "common/models/torch_errors.h"
#include "train/data/batches.h"
#include "train/losses/terms.h"
#include "train/matching/objective.h"
#include "train/optim/grad_scaler.h"
#include "train/optim/optimizer.h"
#include "train/optim/schedule.h"
#include "train/student/student.h"

namespace vitrine {

/// What a step follows from: a part of the run's options.
struct StepOptions {
  std::uint32_t micro_batch = 64;  ///< views in one forward, whose gradients add up to the step's; at least 1
  std::uint64_t seed = 0;          ///< of the noise
  double feature_noise = 0;        ///< on the teacher's features, in standard deviations of each channel
  double clip_norm = 0;            ///< largest L2 norm of all gradients together; 0: any
  LossOptions loss;
  std::optional<double> r;  ///< distillation's share of the loss, whatever the schedule says
  OptimizerOptions optimizer;
  std::optional<ScalerOptions> scaler;  ///< for an FP16 student
};

/// For with_torch_errors: what to do when a step does not fit.
extern const ComputeAdvice kStepAdvice;

/// Not for several threads.
class Step {
 public:
  /// An optimizer of all parameters of the student and of the objective's modules. Both must outlive it.
  Step(const StepOptions& options, Student& student, Objective& objective);

  struct Result {
    LossTerms terms;  ///< of the whole batch, without gradients; none where no step was made
    double loss = 0;  ///< their sum; NaN where it was not asked for, or no step was made
  };
  /// One update of what learns in the point's phase, with its learning rate. `number`: of the step, from 0 over the
  /// whole run, which the noise follows from. A batch of too few views makes no update. `read_loss`: the loss is read,
  /// for which a GPU is waited for; Error when it is not finite.
  Result make(const Batch& batch, const SchedulePoint& point, std::uint64_t number, bool read_loss);

  /// So many of its views are left out that no step is made of it: all, or all but one, of which BatchNorm has no
  /// statistics.
  bool too_few(const Batch& batch) const;

  Optimizer& optimizer() { return *optimizer_; }
  /// None but for an FP16 student.
  GradScaler* scaler() { return scaler_.get(); }

 private:
  LossTerms backward(const Batch& batch, const PhaseOptions& phase, const LossWeights& weights);
  void update(double lr);
  double read(const LossTerms& terms, const LossWeights& weights, const PhaseOptions& phase,
              std::uint64_t number) const;

  StepOptions options_;
  Student& student_;
  Objective& objective_;
  std::unique_ptr<Optimizer> optimizer_;
  std::unique_ptr<GradScaler> scaler_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_STEP_H_
