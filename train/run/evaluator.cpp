#include "train/run/evaluator.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <span>
#include <string>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "train/evaluation/report.h"
#include "train/run/left_out_list.h"
#include "train/run_files/run_files.h"

namespace vitrine {
namespace {

std::uint64_t readable_images(const Evaluation& images) {
  return images.index().images.size() -
         static_cast<std::uint64_t>(std::ranges::count(images.left_out(), LeftOutKind::kFailedLater, &LeftOut::kind));
}

}  // namespace

Evaluator::Evaluator(const TrainOptions& options, const ModelClasses& classes, const Decoding& decoding, int size,
                     const StopFlag& stop)
    : options_(options) {
  EvaluationOptions how = options.evaluation_options(size);
  how.decoding = decoding;
  const Select selection = options.selection();
  if (selection == Select::kTop1) validation_.emplace(*options.validation_folders(), classes, how, stop);
  if (selection == Select::kAgreement) {
    ImageFolders folders = *options.validation_folders();
    folders.labels = Labels::kNone;
    validation_.emplace(folders, how, stop);
    agreement_.emplace(options.targets, *validation_, classes.names, classes.count, stop);
  }
  if (!options.test.empty()) test_.emplace(options.test, classes, how, stop);
}

void Evaluator::begin(Checkpoint& state) const {
  if (!validation_) {  // else steps without a validation would end with the scores of earlier weights
    state.validation.reset(), state.agreement.reset();
    return;
  }
  const std::string images = validation_->index().hash();
  if (!state.validation_images.empty() && state.validation_images != images) {
    const std::filesystem::path best = RunFiles(options_.output).best_weights();
    if (state.best.has_value())
      note(text(options_.validation_folders()->describe(),
                ": holds other images than those on which the best weights so far were selected; selection starts over",
                path_exists(best) ? ", and the old one is now " + move_aside(best, "old").string() : ""));
    state.best = {};
    state.validation.reset(), state.agreement.reset();
  }
  state.validation_images = images;
}

// The selection criterion, in [0, 1].
double Evaluator::score(Student& student, Checkpoint& state, ValidationMetrics& metrics, const StopFlag& stop) const {
  if (agreement_) {
    state.agreement = agreement_->run(student.network(), student.device(), stop);
    metrics.agreement = state.agreement;
    metrics.images = readable_images(*validation_);
    return *state.agreement;
  }
  AccuracyCounts counts;
  at::Tensor loss = at::zeros({}, at::TensorOptions(student.device()).dtype(at::kDouble));
  validation_->visit(
      student.network(), student.device(),
      [&](const at::Tensor& logits, const at::Tensor& labels, std::span<const std::uint32_t>) {
        counts.add(logits, labels);
        loss += at::cross_entropy_loss(logits.to(at::kDouble), labels, {}, at::Reduction::Sum);
      },
      stop);
  state.validation = counts.accuracy();
  metrics.images = state.validation->images;
  metrics.top1 = state.validation->top1;
  metrics.top5 = state.validation->top5;
  metrics.loss = loss.item<double>() / static_cast<double>(metrics.images);
  return state.validation->top1;
}

void Evaluator::score_last(Student& student, Checkpoint& state, const StopFlag& stop) const {
  if (!validation_) return;
  ValidationMetrics not_logged;
  score(student, state, not_logged, stop);
}

bool Evaluator::validate(Student& student, Checkpoint& state, std::uint64_t steps_per_epoch, RunLog& log,
                         const StopFlag& stop, const std::string& learned) const try {
  const auto start = std::chrono::steady_clock::now();
  const Student::Averaged averaged(student);
  const std::uint64_t epoch = (state.step - 1) / steps_per_epoch + 1;
  ValidationMetrics metrics;
  metrics.at = {state.step, epoch, phase_at(options_.schedule, state.step - 1, steps_per_epoch).phase->name};
  const double score = this->score(student, state, metrics, stop);
  add_left_out_of(*validation_, options_.output);
  if (score > state.best.score) {
    state.best = {agreement_ ? "agreement" : "top1", score, state.step, epoch, {}};
    if (!agreement_) state.best.accuracy = state.validation;
    WeightsRecord best = student.record(state.step);
    best.selection = state.best.chosen_by;
    best.score = score;
    save_safetensors(RunFiles(options_.output).best_weights(), student.weights(), best.metadata());
  }
  state.validation_due = false;
  metrics.best = state.best.step == state.step;
  metrics.validation_seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  log.add(metrics);
  update_checkpoint(options_.output, state);
  const std::string words = agreement_
                                ? text("agrees with the teacher on ", percent(score), " %")
                                : text("top-1 ", percent(score), " %, top-5 ", percent(state.validation->top5), " %");
  note(text("epoch ", epoch, ", ", metrics.at.phase, ": ", learned, learned.empty() ? "" : "; ", words,
            metrics.best ? ", the best so far" : ""));
  return true;
} catch (const Stopped&) {
  return false;
}

}  // namespace vitrine
