#include "train/run/step.h"

#include <torch/nn/module.h>
#include <ATen/ATen.h>

#include <cmath>
#include <limits>
#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

NamedParameters parameters_of(Student& student, const Objective& objective) {
  NamedParameters out;
  const auto add = [&out](const std::string& part, const torch::nn::Module& module) {
    for (const auto& item : module.named_parameters()) out.emplace_back(part + "." + item.key(), item.value());
  };
  add("model", student.network().module());
  for (const auto& [name, module] : objective.modules()) add(name, *module);
  return out;
}

}  // namespace

const ComputeAdvice kStepAdvice{.what = "a training step",
                                .memory = "lower micro_batch, batch or size",
                                .shapes =
                                    "check batch, micro_batch and size: a BatchNorm in training needs more than one "
                                    "value per channel"};

Step::Step(const StepOptions& options, Student& student, Objective& objective)
    : options_(options),
      student_(student),
      objective_(objective),
      parameters_(parameters_of(student, objective)),
      optimizer_(make_optimizer(parameters_, options.optimizer)),
      scaler_(options.scaler ? std::make_unique<GradScaler>(*options.scaler, student.device()) : nullptr) {}

bool Step::too_few(const Batch& batch) const {
  return batch.views() == 0 || (batch.views() == 1 && options_.micro_batch > 1);
}

Step::Result Step::make(const Batch& whole, const SchedulePoint& point, std::uint64_t number, bool read_loss) {
  Result out;
  out.loss = std::numeric_limits<double>::quiet_NaN();
  const PhaseOptions& phase = *point.phase;
  objective_.enter(phase);
  if (too_few(whole)) return out;
  student_.train_mode(phase.freeze_student, phase.freeze_batch_norm);
  Batch batch = whole;
  for (std::size_t t = 0; t < batch.features.size(); ++t)
    batch.features[t] = with_noise(whole.features[t], options_.feature_noise, options_.seed, t, number);
  LossWeights weights = point.weights;
  weights.r = options_.r.value_or(weights.r);
  optimizer_->zero_grad();
  out.weights = weights;
  out.terms = backward(batch, phase, weights, read_loss && statistics_ != nullptr);
  const at::Tensor norm = update(point, read_loss);
  if (read_loss) out.loss = read(out.terms, weights, phase, number);
  if (norm.defined()) out.gradient_norm = norm.item<double>();
  return out;
}

// Accumulates the gradients of the batch's loss over its micro-batches.
LossTerms Step::backward(const Batch& batch, const PhaseOptions& phase, const LossWeights& weights, bool observed) {
  LossTerms sum;
  for (const Batch& micro : batch.parts(options_.micro_batch)) {
    NetworkOutputs out;
    {
      const at::AutoGradMode graph(!phase.freeze_student);
      out = student_.forward(micro.pictures);
    }
    const double share = static_cast<double>(micro.views()) / static_cast<double>(batch.views());
    const LossTerms terms = objective_.terms(out, micro, phase);
    if (observed && !phase.freeze_student) statistics_->add(out, micro.logits);
    at::Tensor loss = combine(terms, options_.loss, weights);
    if (micro.views() < batch.views()) loss = loss * share;
    (scaler_ ? scaler_->scaled(loss) : loss).backward();
    sum.add(terms, share);
  }
  return sum;
}

// Returns the gradients' norm if it was `measured` or is needed; undefined when the scaler skipped the update.
at::Tensor Step::update(const SchedulePoint& point, bool measured) {
  const std::vector<at::Tensor> gradients = optimizer_->gradients();
  if (scaler_ && !scaler_->unscale(gradients)) return {};
  at::Tensor norm;
  if (!gradients.empty() && (measured || options_.clip_norm > 0)) norm = at::stack(at::_foreach_norm(gradients)).norm();
  if (options_.clip_norm > 0 && norm.defined()) {
    at::_foreach_mul_(gradients, (options_.clip_norm / (norm + 1e-6)).clamp_max(1.0));
  }
  optimizer_->step(point.lr);
  if (!point.phase->freeze_student) student_.updated();
  return norm;
}

std::vector<double> Step::norms() const {
  const at::NoGradGuard no_grad;
  std::vector<at::Tensor> all;
  for (const auto& [name, parameter] : parameters_) all.push_back(parameter.detach());
  const at::Tensor norms = at::stack(at::_foreach_norm(all)).to(at::kCPU, at::kDouble).contiguous();
  return {norms.data_ptr<double>(), norms.data_ptr<double>() + norms.numel()};
}

double Step::read(const LossTerms& terms, const LossWeights& weights, const PhaseOptions& phase,
                  std::uint64_t number) const {
  const double loss = combine(terms, options_.loss, weights).item<double>();
  // FP16 may overflow while the scale is still decreasing; at a scale below 1 the loss itself overflows.
  if (!std::isfinite(loss) && (!scaler_ || scaler_->scale() < 1))
    fail("the loss is not finite at step ", number + 1, " (", phase.name, "); lower schedule.", phase.name,
         ".lr, or set clip_norm");
  return loss;
}

}  // namespace vitrine
