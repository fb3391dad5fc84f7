// What chooses the best weights: accuracy on the validation images, or agreement with the teacher there; and the last
// word on the final ones, the test.
#ifndef VITRINE_TRAIN_RUN_JUDGE_H_
#define VITRINE_TRAIN_RUN_JUDGE_H_

#include <optional>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/plan/image_index.h"
#include "train/evaluation/agreement.h"
#include "train/evaluation/evaluate.h"
#include "train/run/options.h"
#include "train/run/run_state.h"
#include "train/student/student.h"

namespace vitrine {

/// Not for several threads.
class Judge {
 public:
  /// Scans the validation images, where options.selection() asks for them, and the test images, and asks the teacher
  /// about the former for agreement. `decoding`: of the training images, and so of these. Writes nothing. Throws Error
  /// for images that do not fit `classes`, the student's, and Stopped once `stop` is set.
  Judge(const TrainOptions& options, const ModelClasses& classes, const Decoding& decoding, int size,
        const StopFlag& stop);

  /// Where there are none, nothing is chosen and nothing tested.
  const Evaluation* validation() const { return validation_ ? &*validation_ : nullptr; }
  const Evaluation* test() const { return test_ ? &*test_ : nullptr; }

  /// Before the first step: a best that was chosen on other images is put aside (best.safetensors is renamed).
  void begin(Checkpoint& state) const;

  /// Judges the student's averaged weights, where there is an average, and writes them to best.safetensors when they
  /// are the best so far. The scores go into `state` and last.json. `steps_per_epoch`: for messages. Leaves the network
  /// in evaluation mode. Returns false, with nothing changed, once `stop` is set.
  bool judge(Student& student, Checkpoint& state, std::uint64_t steps_per_epoch, const StopFlag& stop) const;

 private:
  double score(Student& student, Checkpoint& state, const StopFlag& stop) const;

  const TrainOptions& options_;
  std::optional<Evaluation> validation_, test_;
  std::optional<Agreement> agreement_;  // what chooses, where it is there
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_JUDGE_H_
