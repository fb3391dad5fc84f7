// Is the teacher any good on these images? A class list in another order costs a week of extraction; a few hundred
// clean crops show it in seconds.
#ifndef VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
#define VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_

#include <cstdint>

#include "common/eval/accuracy.h"
#include "common/image/views.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// Accuracy on `count` labelled images of the index (all, when there are fewer), drawn without replacement by `seed`:
/// the shorter side resized, the centre cropped, as timm evaluates. With a `map` the teacher's logits are mapped, and
/// only images of mapped classes count. On `workers` threads, a micro-batch at a time on each: the result does not
/// depend on how many there are.
Accuracy clean_crop_accuracy(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
                             std::uint32_t count, std::uint64_t seed, const ClassMap* map = nullptr,
                             std::uint32_t workers = 1);

/// Whether an accuracy lies within three standard errors of guessing among `classes`.
bool at_chance(const Accuracy& accuracy, std::size_t classes);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_CLEAN_CROPS_H_
