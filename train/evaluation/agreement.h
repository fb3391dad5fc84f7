// How often a student says what its teacher says: what a run without labels is judged by.
#ifndef VITRINE_TRAIN_EVALUATION_AGREEMENT_H_
#define VITRINE_TRAIN_EVALUATION_AGREEMENT_H_

#include <torch/torch.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"
#include "train/evaluation/evaluate.h"
#include "train/targets/target_options.h"

namespace vitrine {

/// The teacher of TargetOptions as a judge of whole images, its classes mapped to the student's where a map is given.
class TeacherJudge {
 public:
  /// `names`: of the student's classes; none without labels. Throws Error when the teacher has not `classes` classes,
  /// after the map if there is one.
  TeacherJudge(const TargetOptions& options, const std::vector<std::string>& names, std::size_t classes);

  struct Judged {
    at::Tensor logits;                  ///< [N, classes]; minus infinity for a class that the teacher does not know
    std::vector<std::uint32_t> images;  ///< of those that were asked for, the N that can be read
  };
  /// From crops as the teacher wants them.
  Judged logits(const Evaluation& evaluation, std::span<const std::uint32_t> images) const;

 private:
  Teacher teacher_;
  std::optional<ClassMap> map_;
};

/// The teacher's most probable class of each image, asked once: the teacher itself is not kept. Throws Stopped between
/// two batches once `stop` is set.
class Agreement {
 public:
  /// As TeacherJudge. `images` must outlive it.
  Agreement(const TargetOptions& options, const Evaluation& images, const std::vector<std::string>& names,
            std::size_t classes, const StopFlag& stop = never_stop());

  /// The share of the images that can be read, in [0, 1], on which the network's largest logit is of the same class;
  /// the network is left in evaluation mode.
  double run(Network& network, at::Device device, const StopFlag& stop = never_stop()) const;

 private:
  const Evaluation& images_;
  at::Tensor classes_;  // int64 [images]; -1: could not be read
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATION_AGREEMENT_H_
