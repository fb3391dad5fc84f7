// What a run must keep to go on as if it had never stopped. What is saved and what is restored stand side by side here:
// a new piece of state belongs into both functions of a pair.
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

/// What learns in a run.
struct Learners {
  Student& student;
  Objective& objective;
  Step& step;
};

/// Their tensors: "model.NAME", "optimizer.NAME" and, where they are, "transformer.NAME" (or "mapping", "exits"),
/// "ema.NAME", "scaler.NAME". Those of models share memory with them.
Tensors tensors_of(const Learners& learners);
/// The reverse. Throws Error, which names `where`, when one is missing or misshapen.
void load_tensors(const Tensors& tensors, const Learners& learners, const std::string& where);

/// Not for several threads.
struct RunState {
  /// What the next checkpoint says. Settings, plan, tracks and passes are the run's from its beginning; the judge
  /// writes the scores; save() sets the rest.
  Checkpoint checkpoint;
  bool saved = false;            ///< `checkpoint` stands in last.json
  std::uint64_t first_step = 0;  ///< steps done before this process
  // What earlier processes of the run have counted.
  std::uint64_t other_pictures_before = 0, left_out_before = 0;
  double seconds_before = 0, core_seconds_before = 0;
  // When this one began, by the wall and by its processors.
  std::chrono::steady_clock::time_point start;
  double core_start = 0;

  /// Writes the checkpoint of `step` into `output`, which exists.
  void save(const std::filesystem::path& output, std::uint64_t step, bool to_judge, const Learners& learners,
            const Batches& batches, const Allowance& allowance);
  /// The reverse: becomes what `resumed` says, a checkpoint in `output`, and loads its tensors. What was allowed is
  /// kept in `allowance`. Throws Error for a damaged file or tensors of another model.
  void restore(const std::filesystem::path& output, const Checkpoint& resumed, const Learners& learners,
               Allowance& allowance);

  /// The clocks begin.
  void start_clocks();
  /// Of the whole run, all its processes: wall time and processor time, in seconds.
  double seconds() const;
  double core_seconds() const;
  /// The share of this process's time that it waited for data, in [0, 1].
  double wait_share(const Batches& batches) const;
  /// Of the whole run.
  std::uint64_t other_pictures(const Batches& batches) const {
    return other_pictures_before + batches.other_pictures();
  }
  std::uint64_t left_out(const Batches& batches) const { return left_out_before + batches.left_out(); }
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_STATE_H_
