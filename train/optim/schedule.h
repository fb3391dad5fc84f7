// All that changes during a run, as pure functions of the step: learning rate, phase, and the weights of the loss.
// Stateless, so that a resumed run continues exactly.
//
// Progress is step / steps, in [0, 1): the last step of a cosine that ends at 0 still has a positive learning rate.
#ifndef VITRINE_TRAIN_OPTIM_SCHEDULE_H_
#define VITRINE_TRAIN_OPTIM_SCHEDULE_H_

#include <array>
#include <cstdint>
#include <string>

#include "common/config/fields.h"
#include "train/losses/loss_weights.h"

namespace vitrine {

/// `from` at progress 0, `to` at progress 1. linear() and cosine() clamp progress to [0, 1].
double linear(double from, double to, double progress);

/// Half a cosine: `from` at progress 0, `to` at progress 1 (Loshchilov & Hutter 2017, without restarts).
double cosine(double from, double to, double progress);

/// Factor of the learning rate: (step + 1) / steps while step < steps, then 1; always 1 when `steps` is 0.
double warm_up(std::uint64_t step, std::uint64_t steps);

enum class LearningRate { kConstant, kCosine };
/// How a weight of the loss changes over the run.
enum class Ramp { kLinear, kCosine };

/// One phase of a run. A phase of length 0 is skipped.
struct PhaseOptions {
  std::string name;  // "align", "joint" or "fine_tune": the phase's fixed name in logs and configuration
  /// Length; a phase may begin in the middle of an epoch. Relative when ScheduleOptions::epochs is set.
  double epochs = 0;
  double lr = 0.001;
  double lr_end = 0;  // end of the cosine
  LearningRate schedule = LearningRate::kCosine;
  double warm_up_epochs = 0;          // may be a fraction
  bool freeze_student = false;        // neither the student's weights nor its head learn
  bool freeze_batch_norm = false;     // BatchNorm uses its running statistics and does not update them
  bool train_transformer = true;      // the feature transformer learns
  double r_from = 0.75, r_to = 0.75;  // distillation's share of the loss, linear in the phase's progress
  bool output_term = true, feature_term = true, attention_term = true, label_term = true;

  void fields(Fields& f);
};

/// Whether the phase learns from feature and attention maps only, so that it cannot use passes without them. From the
/// output and label terms only the student learns.
bool needs_maps(const PhaseOptions& phase);

/// Align (only the feature transformer learns, from feature terms), joint (everything), fine-tune (labels gain weight),
/// in this order. w_feat and w_out follow the progress of the whole run. The published dynamic weights are 0.7 to 0.3
/// for features and 0.3 to 0.7 for outputs, whose sum, relative to the labels, is half that of the constant defaults
/// here.
struct ScheduleOptions {
  /// Length of the whole run. 0: the phases' lengths are in epochs. Otherwise they are relative to their sum.
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
  /// Length of phase number `phase`, in epochs.
  double phase_epochs(std::size_t phase) const;
  /// Length of the run, in epochs.
  double run_epochs() const;
};

/// A run's phases in steps: phase i has the steps [bounds[i], bounds[i + 1]); the last bound is the run's length.
using PhaseBounds = std::array<std::uint64_t, ScheduleOptions::kPhases + 1>;

/// The bounds when every epoch has `steps_per_epoch` steps; each is rounded to the nearest step. Throws Error for a run
/// without steps, and for a phase of non-zero length that is shorter than one step.
PhaseBounds phase_bounds(const ScheduleOptions& options, std::uint64_t steps_per_epoch);

/// The schedule at one step. `phase` points into the ScheduleOptions passed to phase_at().
struct SchedulePoint {
  const PhaseOptions* phase = nullptr;
  std::size_t phase_number = 0;  // 0 align, 1 joint, 2 fine-tune
  std::uint32_t epoch = 0;       // of the whole run
  std::uint64_t step_in_phase = 0;
  double progress = 0;        // of the whole run
  double phase_progress = 0;  // of this phase
  double lr = 0;
  LossWeights weights;
};

/// The point at `step` (of the whole run, from 0) when every epoch has `steps_per_epoch` steps. Throws std::logic_error
/// for a step at or beyond the end of the run and for steps_per_epoch = 0, and Error as phase_bounds() does.
SchedulePoint phase_at(const ScheduleOptions& options, std::uint64_t step, std::uint64_t steps_per_epoch);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_OPTIM_SCHEDULE_H_
