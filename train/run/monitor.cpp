#include "train/run/monitor.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <optional>
#include <utility>

#include "common/base/digits.h"
#include "common/base/error.h"

namespace vitrine {
namespace {

using WatchClock = std::chrono::steady_clock;

// Lines of the log whose mean loss the progress line shows.
constexpr std::size_t kRecentLosses = 10;

PerTerm<std::optional<double>> values_of(const LossTerms& terms) {
  PerTerm<std::optional<double>> out;
  for (std::size_t t = 0; t < std::size(kLossTerms<at::Tensor>); ++t)
    if (const at::Tensor& term = terms.*kLossTerms<at::Tensor>[t].member; term.defined())
      out.*kLossTerms<std::optional<double>>[t].member = term.item<double>();
  return out;
}

std::optional<double> number_at(const nlohmann::ordered_json& line, const char* key) {
  const auto found = line.find(key);
  return found != line.end() && found->is_number() ? std::optional(found->get<double>()) : std::nullopt;
}

double mean(const auto& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Monitor::Monitor(const MonitorOptions& options, RunLog& log, std::uint64_t first_step)
    : options_(options),
      log_(log),
      statistics_(options.temperature, options.comparable),
      progress_("train", "images", options.steps * options.batch, first_step * options.batch),
      step_(first_step) {
  for (const nlohmann::ordered_json& line : log.take_earlier()) {
    const auto text_at = [&](const char* key) { return line.contains(key) && line.at(key).is_string(); };
    if (line.at("event") != "step" || !text_at("phase") || !number_at(line, "epoch")) continue;
    take({line.at("step").get<std::uint64_t>(), static_cast<std::uint64_t>(*number_at(line, "epoch")),
          line.at("phase").get<std::string>()},
         line);
  }
}

RunMoment Monitor::moment_of(std::uint64_t step, const SchedulePoint& point) const {
  return {step, std::uint64_t{point.epoch} + 1, point.phase->name};
}

// Adds a line of the log, of this process or an earlier one, to the evidence of its phase and epoch.
void Monitor::take(const RunMoment& at, const nlohmann::ordered_json& line) {
  if (at.epoch != last_line_.epoch) count_epoch();
  last_line_ = at;
  if (at.phase != evidence_.phase) {
    evidence_ = {};
    evidence_.phase = at.phase;
    recent_.clear();
  }
  for (const auto& [key, term] : kLossTerms<char>)
    if (const std::optional<double> value = number_at(line, key)) evidence_.terms[key].push_back(*value);
  if (const std::optional<double> norm = number_at(line, "gradient_norm")) evidence_.gradient_norms.push_back(*norm);
  if (const std::optional<double> output = number_at(line, "kl")) epoch_output_.push_back(*output);
  if (const std::optional<double> loss = number_at(line, "loss")) recent_.push_back(*loss);
  if (recent_.size() > kRecentLosses) recent_.pop_front();
}

// The epoch of the last line is complete. Known by a line of the next one too, so that a resumed run, which has the
// lines alone, counts as an unstopped one.
void Monitor::count_epoch() {
  if (!epoch_output_.empty()) epochs_.push_back({last_line_.epoch, last_line_.phase, mean(epoch_output_)});
  epoch_output_.clear();
}

void Monitor::before(const SchedulePoint& point, const std::function<std::vector<double>()>& norms) {
  if (point.phase->name != phase_) begin_phase(*point.phase, norms());
  if (paused_) counted_ = WatchClock::now();
  paused_ = false;
}

// A step on a GPU may end after after(), so that the time between steps is of the steps.
void Monitor::count_time() {
  const auto now = WatchClock::now();
  trained_seconds_ += std::chrono::duration<double>(now - counted_).count();
  counted_ = now;
}

void Monitor::pause() {
  if (!paused_) count_time();
  paused_ = true;
}

void Monitor::begin_phase(const PhaseOptions& phase, std::vector<double> norms) {
  phase_ = phase.name;
  problems_.clear();
  if (evidence_.phase != phase_) {
    evidence_ = {};
    evidence_.phase = phase_;
    recent_.clear();
  }
  evidence_.lr = phase.lr;
  evidence_.lr_factor = options_.lr_factor;
  evidence_.norms_before = std::move(norms);
}

void Monitor::after(const SchedulePoint& point, double wait_share) {
  count_time();
  images_ += options_.batch;
  ++step_;
  const std::uint64_t epochs = (options_.steps + options_.steps_per_epoch - 1) / options_.steps_per_epoch;
  std::string status = text(point.phase->name, ", epoch ", point.epoch + 1, " of ", epochs, ", step ",
                            human_count(step_), " of ", human_count(options_.steps));
  if (!recent_.empty()) status += ", loss " + significant(mean(recent_), 4);
  progress_.advance(options_.batch, status + ", data wait " + percent_words(wait_share, 0));
}

void Monitor::add_line(std::uint64_t step, const SchedulePoint& point, const LossTerms& terms, StepMetrics line) {
  line.at = moment_of(step, point);
  line.terms = values_of(terms);
  line.images_per_second = static_cast<double>(images_) / std::max(trained_seconds_, 1e-9);
  images_ = 0;
  trained_seconds_ = 0;
  log_.add(line);
  take(line.at, to_json(line));
}

std::string Monitor::conclude(std::uint64_t step, const SchedulePoint& point, bool phase_ends,
                              const std::vector<double>& norms) {
  const RunMoment at = moment_of(step, point);
  evidence_.norms_now = norms;
  statistics_.summarise(evidence_);
  statistics_.reset();
  if (options_.passes > 0)
    evidence_.times_seen = static_cast<double>(step) / static_cast<double>(options_.steps_per_epoch * options_.passes);
  // This epoch's validation is still to come. Earlier weights than the last epoch's, or another phase's, were others.
  const nlohmann::ordered_json& validation = log_.last_validation();
  const bool is_recent = validation.contains("phase") && validation.at("phase") == at.phase &&
                         step - validation.at("step").get<std::uint64_t>() <= options_.steps_per_epoch;
  evidence_.validation_loss = is_recent ? number_at(validation, "loss") : std::nullopt;
  evidence_.validation_agreement = is_recent ? number_at(validation, "agreement") : std::nullopt;
  std::vector<LearningFinding> found = learning_findings(evidence_);
  if (step % options_.steps_per_epoch == 0) {
    count_epoch();
    log_.events().add_histogram(step, "student/weight_norms", norms);
    if (at.epoch == options_.passes + 1)
      if (const auto repetition = repetition_finding(epochs_, options_.passes)) found.push_back(*repetition);
  }
  PhaseMetrics metrics{at, {}};
  for (const LearningFinding& finding : found) {
    metrics.findings.push_back(finding);
    const bool is_new = finding.problem && problems_.insert(finding.kind).second;
    if (phase_ends || is_new)
      note(text(finding.problem ? "warning: " : "", "epoch ", at.epoch, ", ", at.phase, ": ", finding.sentence));
  }
  if (!found.empty()) log_.add(metrics);
  return phase_ends ? "" : learning_words(evidence_);
}

}  // namespace vitrine
