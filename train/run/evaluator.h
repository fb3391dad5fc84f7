// Chooses the best weights by accuracy on the validation images or by agreement with the teacher there, and holds the
// test images for the end.
#ifndef VITRINE_TRAIN_RUN_EVALUATOR_H_
#define VITRINE_TRAIN_RUN_EVALUATOR_H_

#include <optional>
#include <string>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/plan/image_index.h"
#include "train/evaluation/agreement.h"
#include "train/evaluation/evaluate.h"
#include "train/run/metrics.h"
#include "train/run/options.h"
#include "train/run/run_log.h"
#include "train/run/run_state.h"
#include "train/student/student.h"

namespace vitrine {

/// Not thread-safe.
class Evaluator {
 public:
  /// Scans the validation images, if options.selection() needs them, and the test images; for agreement, runs the
  /// teacher on the validation images. `decoding`: of the training images, used for these too. `classes`: the
  /// student's. Writes nothing. Throws Error for images that do not fit `classes`, and Stopped once `stop` is set.
  Evaluator(const TrainOptions& options, const ModelClasses& classes, const Decoding& decoding, int size,
            const StopFlag& stop);

  /// Null when there are none: then nothing is selected, or nothing tested.
  const Evaluation* validation() const { return validation_ ? &*validation_ : nullptr; }
  const Evaluation* test() const { return test_ ? &*test_ : nullptr; }

  /// Call before the first step: renames best weights that were selected on other validation images. Removes from
  /// `state` the scores on these, and without validation images those of the weights so far.
  void begin(Checkpoint& state) const;

  /// Validates the student (its averaged weights, if there is an average) and writes exported/best.safetensors when
  /// they are the best so far. Adds the scores to `log`, then stores them in `state` and its file. `steps_per_epoch`:
  /// for messages.
  /// `learned`: what the epoch's line says before the scores; may be empty. Leaves the network in evaluation mode.
  /// Returns false, with nothing changed, once `stop` is set.
  bool validate(Student& student, Checkpoint& state, std::uint64_t steps_per_epoch, RunLog& log, const StopFlag& stop,
                const std::string& learned = {}) const;

  /// Sets the scores in `state` to those of the network as it is, without selecting or logging: its statistics have
  /// changed since the last validation. Throws Stopped once `stop` is set.
  void score_last(Student& student, Checkpoint& state, const StopFlag& stop) const;

 private:
  double score(Student& student, Checkpoint& state, ValidationMetrics& metrics, const StopFlag& stop) const;

  const TrainOptions& options_;
  std::optional<Evaluation> validation_, test_;
  std::optional<Agreement> agreement_;  // set when agreement is the criterion
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_EVALUATOR_H_
