// The state that a run saves to resume as if it had never stopped. Functions that save and restore are paired here: a
// new piece of state belongs in both functions of a pair.
#ifndef VITRINE_TRAIN_RUN_RUN_STATE_H_
#define VITRINE_TRAIN_RUN_RUN_STATE_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>

#include "common/models/weights/safetensors.h"
#include "train/data/batches.h"
#include "train/matching/objective.h"
#include "train/run/checkpoint.h"
#include "train/run/provenance.h"
#include "train/run/step.h"
#include "train/student/student.h"

namespace vitrine {

/// The parts of a run that have trainable state.
struct Learners {
  Student& student;
  Objective& objective;
  Step& step;
};

/// Their tensors: "model.NAME", "optimizer.NAME" and, if present, "transformer.NAME" (or "mapping", "exits"),
/// "ema.NAME", "scaler.NAME". Model tensors share memory with the models.
Tensors tensors_of(const Learners& learners);
/// The inverse of tensors_of(). Throws Error that names `where` when a tensor is missing or misshapen.
void load_tensors(const Tensors& tensors, const Learners& learners, const std::string& where);

/// Not thread-safe.
struct RunState {
  /// The next checkpoint. Settings, plan, tracks and passes are set when the run begins; Evaluator writes the scores;
  /// save() sets the rest.
  Checkpoint checkpoint;
  bool saved = false;            ///< last.json equals `checkpoint`
  std::uint64_t first_step = 0;  ///< steps done before this process
  // Totals of the run's earlier processes.
  std::uint64_t other_pictures_before = 0, left_out_before = 0;
  double seconds_before = 0, core_seconds_before = 0;
  // This process's start, in wall time and CPU time.
  std::chrono::steady_clock::time_point start;
  double core_start = 0;

  /// Writes the checkpoint of `step` into the existing directory `output`.
  void save(const std::filesystem::path& output, std::uint64_t step, bool validation_due, const Learners& learners,
            const Batches& batches, const Allowance& allowance);
  /// The inverse of save(): restores this state and the learners from `resumed`, a checkpoint in `output`, and records
  /// its allowed differences in `allowance`. Throws Error for a damaged file or tensors of another model.
  void restore(const std::filesystem::path& output, const Checkpoint& resumed, const Learners& learners,
               Allowance& allowance);

  /// Starts this process's clocks.
  void start_clocks();
  /// Wall time and CPU time of the whole run, over all its processes, in seconds.
  double seconds() const;
  double core_seconds() const;
  /// The share of this process's wall time spent waiting for data, in [0, 1].
  double wait_share(const Batches& batches) const;
  /// Totals over all of the run's processes.
  std::uint64_t other_pictures(const Batches& batches) const {
    return other_pictures_before + batches.other_pictures();
  }
  std::uint64_t left_out(const Batches& batches) const { return left_out_before + batches.left_out(); }
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_STATE_H_
