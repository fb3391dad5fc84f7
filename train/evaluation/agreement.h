// Top-1 agreement of a student with its teacher: the metric of runs without labels.
#ifndef VITRINE_TRAIN_EVALUATION_AGREEMENT_H_
#define VITRINE_TRAIN_EVALUATION_AGREEMENT_H_

#include <ATen/ATen.h>

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

/// The teacher of TargetOptions applied to clean crops, its classes mapped to the student's where a map is given.
class EvaluationTeacher {
 public:
  /// `names`: of the student's classes; empty without labels. Where no file maps the teacher's, and their names are
  /// known, they are matched with these by name. Throws Error unless the teacher has `classes` classes (after mapping),
  /// and for names of which the teacher knows only some.
  EvaluationTeacher(const TargetOptions& options, const std::vector<std::string>& names, std::size_t classes);

  struct Outputs {
    at::Tensor logits;                  ///< [N, classes]; -infinity for a class that the teacher does not know
    std::vector<std::uint32_t> images;  ///< the N requested images that can be read
  };
  /// The teacher's logits on crops of its own size and preprocessing.
  Outputs logits(const Evaluation& evaluation, std::span<const std::uint32_t> images) const;

 private:
  Teacher teacher_;
  std::optional<ClassMap> map_;
};

/// Compares a student with the teacher's most probable class of each image. The teacher runs once, in the constructor,
/// and is then released. Throws Stopped between two batches once `stop` is set.
class Agreement {
 public:
  /// Arguments as EvaluationTeacher's. `images` must outlive this object.
  Agreement(const TargetOptions& options, const Evaluation& images, const std::vector<std::string>& names,
            std::size_t classes, const StopFlag& stop = never_stop());

  /// The share, in [0, 1], of the readable images on which the network's largest logit is of the teacher's class.
  /// Leaves the network in evaluation mode.
  double run(Network& network, at::Device device, const StopFlag& stop = never_stop()) const;

 private:
  const Evaluation& images_;
  at::Tensor classes_;  // int64 [images]; -1: unreadable
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATION_AGREEMENT_H_
