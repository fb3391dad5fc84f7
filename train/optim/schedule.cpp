#include "train/optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <stdexcept>

#include "common/base/error.h"

namespace vitrine {

double linear(double from, double to, double progress) {
  const double p = std::clamp(progress, 0.0, 1.0);
  return from * (1 - p) + to * p;
}

double cosine(double from, double to, double progress) {
  return linear(to, from, (1 + std::cos(std::numbers::pi * std::clamp(progress, 0.0, 1.0))) / 2);
}

double warm_up(std::uint64_t step, std::uint64_t steps) {
  return step < steps ? static_cast<double>(step + 1) / static_cast<double>(steps) : 1.0;
}

void PhaseOptions::fields(Fields& f) {
  f.number("epochs", epochs,
           "length of this phase in epochs, may be fractional (relative if schedule.epochs is set); 0: no such phase",
           {0, 1e6});
  f.number("lr", lr, "learning rate at the phase's start", {0, 1e3});
  f.number("lr_end", lr_end, "learning rate at the phase's end (cosine only)", {0, 1e3});
  f.choice("schedule", schedule, {{"constant", LearningRate::kConstant}, {"cosine", LearningRate::kCosine}},
           "how the learning rate goes from lr to lr_end");
  f.number("warm_up_epochs", warm_up_epochs, "epochs of linear warm-up of the learning rate", {0, 1e6});
  f.flag("freeze_student", freeze_student, "do not train the student's weights");
  f.flag("freeze_batch_norm", freeze_batch_norm, "BatchNorm uses its running statistics and does not update them");
  f.flag("train_transformer", train_transformer, "let the feature transformer learn");
  f.number("r_from", r_from, "distillation's share of the loss at the phase's start; the labels have the rest", {0, 1});
  f.number("r_to", r_to, "distillation's share of the loss at the phase's end", {0, 1});
  f.flag("output_term", output_term, "use the teacher's logits");
  f.flag("feature_term", feature_term, "use the teacher's feature maps where a pass has them");
  f.flag("attention_term", attention_term, "use the teacher's attention where a pass has it");
  f.flag("label_term", label_term, "use the labels");
}

bool needs_maps(const PhaseOptions& phase) {
  const bool others = !phase.freeze_student && (phase.output_term || phase.label_term);
  return (phase.feature_term || phase.attention_term) && !others;
}

ScheduleOptions::ScheduleOptions() {
  align.name = "align";
  align.epochs = 1;
  align.lr = 0.01;
  align.schedule = LearningRate::kConstant;
  align.freeze_student = align.freeze_batch_norm = true;
  align.r_from = align.r_to = 1;
  // The attention term alone gives the transformer nothing to learn: it compares the student's own map.
  align.output_term = align.attention_term = align.label_term = false;

  joint.name = "joint";
  joint.epochs = 20;
  joint.lr = 0.001;

  fine_tune.name = "fine_tune";
  fine_tune.epochs = 5;
  fine_tune.lr = 0.0001;
  fine_tune.r_from = 0.75;
  fine_tune.r_to = 0.5;
}

void ScheduleOptions::fields(Fields& f) {
  f.number("epochs", epochs,
           "length of the whole run, of which the phases get shares in proportion to their lengths; 0: phase lengths "
           "are in epochs",
           {0, 1e6});
  f.section("align", align, "first phase: the student is frozen, the feature transformer learns to match it");
  f.section("joint", joint, "second phase: everything learns");
  f.section("fine_tune", fine_tune, "third phase: the labels gain weight");
  f.number("w_feat_from", w_feat_from, "weight of the feature and attention terms at the run's start", {0, 1e6});
  f.number("w_feat_to", w_feat_to, "weight of the feature and attention terms at the run's end", {0, 1e6});
  f.number("w_out_from", w_out_from, "weight of the output term at the run's start", {0, 1e6});
  f.number("w_out_to", w_out_to, "weight of the output term at the run's end", {0, 1e6});
  f.choice("w_ramp", w_ramp, {{"linear", Ramp::kLinear}, {"cosine", Ramp::kCosine}},
           "how these weights change over the run");
}

namespace {

double sum_of_lengths(const ScheduleOptions& options) {
  double sum = 0;
  for (const PhaseOptions* phase : options.phases()) sum += phase->epochs;
  return sum;
}

}  // namespace

double ScheduleOptions::phase_epochs(std::size_t phase) const {
  const double length = phases()[phase]->epochs;
  return epochs > 0 && length > 0 ? epochs * length / sum_of_lengths(*this) : length;
}

double ScheduleOptions::run_epochs() const {
  const double sum = sum_of_lengths(*this);
  return epochs > 0 && sum > 0 ? epochs : sum;
}

PhaseBounds phase_bounds(const ScheduleOptions& options, std::uint64_t steps_per_epoch) {
  PhaseBounds bounds{};
  double before = 0;
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i) {
    const double length = options.phase_epochs(i);
    before += length;
    bounds[i + 1] = static_cast<std::uint64_t>(std::llround(before * static_cast<double>(steps_per_epoch)));
    if (length > 0 && bounds[i + 1] == bounds[i])
      fail("schedule.", options.phases()[i]->name, " has a length of ", length, " epochs, less than one of an epoch's ",
           steps_per_epoch, " steps; make it longer or set its epochs to 0");
  }
  if (bounds.back() == 0) fail("the schedule has no epochs; set schedule.joint.epochs or another phase's");
  return bounds;
}

SchedulePoint phase_at(const ScheduleOptions& options, std::uint64_t step, std::uint64_t steps_per_epoch) {
  if (steps_per_epoch == 0) throw std::logic_error("phase_at: an epoch without steps");
  const PhaseBounds bounds = phase_bounds(options, steps_per_epoch);
  if (step >= bounds.back()) throw std::logic_error("phase_at: a step beyond the run's end");

  SchedulePoint point;
  while (step >= bounds[point.phase_number + 1]) ++point.phase_number;
  const std::uint64_t first = bounds[point.phase_number], length = bounds[point.phase_number + 1] - first;
  const PhaseOptions& phase = *options.phases()[point.phase_number];
  point.phase = &phase;
  point.epoch = static_cast<std::uint32_t>(step / steps_per_epoch);
  point.step_in_phase = step - first;
  point.progress = static_cast<double>(step) / static_cast<double>(bounds.back());
  point.phase_progress = static_cast<double>(point.step_in_phase) / static_cast<double>(length);

  point.lr = phase.schedule == LearningRate::kCosine ? cosine(phase.lr, phase.lr_end, point.phase_progress) : phase.lr;
  const auto warm_up_steps =
      static_cast<std::uint64_t>(std::llround(phase.warm_up_epochs * static_cast<double>(steps_per_epoch)));
  point.lr *= warm_up(point.step_in_phase, warm_up_steps);
  const auto ramp = options.w_ramp == Ramp::kCosine ? &cosine : &linear;
  point.weights = {.r = linear(phase.r_from, phase.r_to, point.phase_progress),
                   .w_out = ramp(options.w_out_from, options.w_out_to, point.progress),
                   .w_feat = ramp(options.w_feat_from, options.w_feat_to, point.progress)};
  return point;
}

}  // namespace vitrine
