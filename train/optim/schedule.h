// Everything that changes while a run goes on, as pure functions of the step: learning rate, the three phases, and the
// weights of the loss. No state, so that a resumed run continues exactly.
//
// Progress is step / steps, in [0, 1): the last step of a cosine that ends at 0 still learns something.
#ifndef VITRINE_TRAIN_OPTIM_SCHEDULE_H_
#define VITRINE_TRAIN_OPTIM_SCHEDULE_H_

#include <array>
#include <cstdint>
#include <string>

#include "common/config/fields.h"
#include "train/losses/loss_weights.h"

namespace vitrine {

/// `from` at progress 0, `to` at progress 1; progress outside of [0, 1] is clamped, here and in `cosine`.
double linear(double from, double to, double progress);

/// Half a cosine: `from` at progress 0, `to` at progress 1 (Loshchilov & Hutter 2017, without restarts).
double cosine(double from, double to, double progress);

/// A factor for the learning rate: (step + 1) / steps below `steps`, 1 from then on; always 1 without warm-up steps.
double warm_up(std::uint64_t step, std::uint64_t steps);

enum class LearningRate { kConstant, kCosine };
/// How a weight of the loss goes from one end of the run to the other.
enum class Ramp { kLinear, kCosine };

/// One phase of a run. A phase of length 0 is left out.
struct PhaseOptions {
  std::string name;   // "align", "joint" or "fine_tune": fixed, names the phase in logs and in the configuration
  double epochs = 0;  // its length; a phase may begin in the middle of an epoch. A share of ScheduleOptions::epochs,
                      // where that is set
  double lr = 0.001;
  double lr_end = 0;  // where a cosine ends
  LearningRate schedule = LearningRate::kCosine;
  double warm_up_epochs = 0;          // may be a fraction
  bool freeze_student = false;        // neither the student's weights nor its head learn
  bool freeze_batch_norm = false;     // BatchNorm uses its running statistics and leaves them as they are
  bool train_transformer = true;      // the feature transformer learns
  double r_from = 0.75, r_to = 0.75;  // distillation's share of the loss, linear in the phase's progress
  bool output_term = true, feature_term = true, attention_term = true, label_term = true;

  void fields(Fields& f);
};

/// Whether the phase learns from nothing but feature and attention maps, so that passes without them are of no use to
/// it.
bool needs_maps(const PhaseOptions& phase);

/// Align (only the feature transformer learns, on feature terms), joint (everything), fine-tune (labels gain weight),
/// in this order. The terms' weights follow the progress of the whole run: dynamic weights are 0.7 to 0.3 for features
/// and 0.3 to 0.7 for outputs, which together weigh half as much beside the labels as the constant ones here.
struct ScheduleOptions {
  /// Of the whole run. 0: the phases' lengths are in epochs. Otherwise they are relative: each phase has its part of
  /// their sum.
  double epochs = 0;
  PhaseOptions align;
  PhaseOptions joint;
  PhaseOptions fine_tune;
  double w_feat_from = 1, w_feat_to = 1;
  double w_out_from = 1, w_out_to = 1;
  Ramp w_ramp = Ramp::kLinear;

  ScheduleOptions();
  void fields(Fields& f);

  static constexpr std::size_t kPhases = 3;
  /// In the order in which they run.
  std::array<const PhaseOptions*, kPhases> phases() const { return {&align, &joint, &fine_tune}; }
  /// How long the phase of that number is, in epochs.
  double phase_epochs(std::size_t phase) const;
  /// How long the run is, in epochs.
  double run_epochs() const;
};

/// A run's phases in steps: phase i has the steps from bounds[i] to bounds[i + 1], and the last bound is the run's
/// length.
using PhaseBounds = std::array<std::uint64_t, ScheduleOptions::kPhases + 1>;

/// When every epoch has `steps_per_epoch` steps; each bound is the step nearest to the lengths before it. Throws Error
/// for a run without a step and for a phase that is not of length 0 but shorter than a step.
PhaseBounds phase_bounds(const ScheduleOptions& options, std::uint64_t steps_per_epoch);

/// What holds at one step. `phase` points into the ScheduleOptions that it came from.
struct SchedulePoint {
  const PhaseOptions* phase = nullptr;
  std::size_t phase_number = 0;  // 0 align, 1 joint, 2 fine-tune
  std::uint32_t epoch = 0;       // of the whole run
  std::uint64_t step_in_phase = 0;
  double progress = 0;        // of the whole run
  double phase_progress = 0;  // of the phase
  double lr = 0;
  LossWeights weights;
};

/// The point at `step` (of the whole run, from 0) when every epoch has `steps_per_epoch` steps. A step at or beyond the
/// end of the run, or no steps in an epoch, is a std::logic_error; throws what phase_bounds throws.
SchedulePoint phase_at(const ScheduleOptions& options, std::uint64_t step, std::uint64_t steps_per_epoch);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_OPTIM_SCHEDULE_H_
