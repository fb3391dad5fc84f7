#include "train/run/run_state.h"

#include <sys/resource.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <map>

#include "common/models/weights/load.h"

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;
double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// CPU time of this process, all threads, in seconds.
double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

}  // namespace

Tensors tensors_of(const Learners& learners) {
  Tensors out;
  const auto add = [&out](const std::string& part, const auto& tensors) {
    for (const auto& [name, tensor] : tensors) out.emplace(part + "." + name, tensor);
  };
  add("model", learners.student.weights());
  for (const auto& [name, module] : learners.objective.modules()) add(name, state_dict(*module));
  add("optimizer", learners.step.optimizer().state());
  if (const WeightEma* average = learners.student.average()) add("ema", average->state());
  if (const GradScaler* scaler = learners.step.scaler()) add("scaler", scaler->state());
  return out;
}

void load_tensors(const Tensors& tensors, const Learners& learners, const std::string& where) {
  std::map<std::string, Tensors> parts;
  for (const auto& [name, tensor] : tensors) {
    const std::size_t dot = name.find('.');
    parts[name.substr(0, dot)].emplace(name.substr(dot + 1), tensor);
  }
  load_weights(learners.student.network().module(), parts["model"], where);
  for (const auto& [name, module] : learners.objective.modules()) load_weights(*module, parts[name], where);
  learners.step.optimizer().load_state(parts["optimizer"], where);
  if (WeightEma* average = learners.student.average()) average->load(parts["ema"], where);
  if (GradScaler* scaler = learners.step.scaler()) scaler->load(parts["scaler"], where);
}

void RunState::save(const std::filesystem::path& output, std::uint64_t step, bool validation_due,
                    const Learners& learners, const Batches& batches, const Allowance& allowance) {
  checkpoint.step = step;
  checkpoint.validation_due = validation_due;
  checkpoint.finished = false;
  checkpoint.seconds = seconds();
  checkpoint.core_seconds = core_seconds();
  checkpoint.allowed = allowance.met();
  checkpoint.other_pictures = other_pictures(batches);
  checkpoint.left_out_views = left_out(batches);
  save_checkpoint(output, checkpoint, tensors_of(learners), learners.student.record(step).metadata());
  saved = true;
}

void RunState::restore(const std::filesystem::path& output, const Checkpoint& resumed, const Learners& learners,
                       Allowance& allowance) {
  load_tensors(load_checkpoint_tensors(output, resumed), learners, output.string());
  checkpoint = resumed;
  first_step = resumed.step;
  seconds_before = resumed.seconds;
  core_seconds_before = resumed.core_seconds;
  for (const AllowedDifference& difference : resumed.allowed) allowance.keep(difference);
  other_pictures_before = resumed.other_pictures;
  left_out_before = resumed.left_out_views;
  saved = true;
}

void RunState::start_clocks() {
  start = Clock::now();
  core_start = cpu_seconds();
}

double RunState::seconds() const {
  return seconds_before + since(start);
}

double RunState::core_seconds() const {
  return core_seconds_before + cpu_seconds() - core_start;
}

double RunState::wait_share(const Batches& batches) const {
  return batches.waited() / std::max(since(start), 1e-9);
}

}  // namespace vitrine
