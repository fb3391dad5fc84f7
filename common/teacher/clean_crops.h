// Is the teacher any good on these images? A class list in another order costs a week of extraction; a few hundred
// clean crops show it in seconds.
#ifndef VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
#define VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_

#include <cstdint>
#include <vector>

#include "common/base/stop.h"
#include "common/eval/accuracy.h"
#include "common/image/views.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"

namespace vitrine {

struct CleanCrops {
  Accuracy accuracy;
  double confidence = 0;  ///< mean of the largest probability
  /// Of each image, in the order in which they were drawn: its label, the class that the teacher names (mapped, with a
  /// map), and whether it counts for top-1.
  std::vector<std::uint32_t> labels, predictions;
  std::vector<bool> right;
};

/// The teacher's answers on `count` labelled images of the index (all, when there are fewer), drawn without replacement
/// by `seed`: the shorter side resized, the centre cropped, as timm evaluates. With a `map` the teacher's logits are
/// mapped, and only images of mapped classes count. Images that `views` goes on without do not count. `normalisation`:
/// in place of the teacher's, or nullptr; the images stay the same. On `workers` threads, a micro-batch at a time on
/// each: the result does not depend on how many there are. Throws Stopped between two images once `stop` is set.
CleanCrops judge_clean_crops(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map = nullptr,
                             const Normalisation* normalisation = nullptr, std::uint32_t workers = 1,
                             const StopFlag& stop = never_stop());
/// Their accuracy alone.
Accuracy clean_crop_accuracy(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map = nullptr,
                             std::uint32_t workers = 1, const StopFlag& stop = never_stop());

/// Whether an accuracy lies within three standard errors of guessing among `classes`.
bool at_chance(const Accuracy& accuracy, std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
