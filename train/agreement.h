// How often a student says what its teacher says: what a run without labels is judged by.
#ifndef VITRINE_TRAIN_AGREEMENT_H_
#define VITRINE_TRAIN_AGREEMENT_H_

#include <torch/torch.h>

#include <cstdint>

#include "common/teacher/teacher.h"
#include "train/evaluate.h"

namespace vitrine {

/// The teacher's logits [count, classes] of the images `first` to `first + count`, from crops as the teacher wants
/// them.
at::Tensor teacher_logits(const Teacher& teacher, const Evaluation& images, std::uint32_t first, std::uint32_t count);

/// The teacher's most probable class of each image, asked once: the teacher itself is not kept.
class Agreement {
 public:
  /// The teacher of options.targets. `images` must outlive it. Throws Error when the teacher has not `classes` classes.
  Agreement(const TrainOptions& options, const Evaluation& images, std::size_t classes);

  /// The share of images, in [0, 1], on which the network's largest logit is of the same class; the network is left in
  /// evaluation mode.
  double run(Network& network, at::Device device) const;

 private:
  const Evaluation& images_;
  at::Tensor classes_;  // int64 [images]
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_AGREEMENT_H_
