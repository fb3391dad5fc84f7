// Is the teacher any good on these images, before a long extraction: its top-1 on clean crops, and what explains a low
// one.
#ifndef VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_
#define VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/image/views.h"
#include "common/teacher/class_map.h"
#include "common/teacher/clean_crops.h"
#include "common/teacher/teacher.h"

namespace vitrine {

struct TeacherCheck {
  CleanCrops crops;
  std::vector<std::string> notes;  ///< sentences for the user: the figures first
  std::string refusal;             ///< why to stop, without what allows to go on; empty: nothing is known against it
};

/// Judges `count` clean crops (clean_crops.h). Refuses a teacher at chance, and one that fits better in another class
/// order (class_order.h; without a `map` alone). Tells when its top-1 is far below its own mean confidence: it knows
/// something, but not these classes or these colours; then the other usual mean and std (ImageNet's, or 0.5) are
/// tried on the same crops, and named when they fit better beyond chance. `folder`: of the images, for commands in
/// messages. On `workers` threads; the result does not depend on how many there are. Throws Stopped once `stop` is set.
TeacherCheck check_teacher(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index, std::uint32_t count,
                           std::uint64_t seed, const ClassMap* map, const std::string& folder, std::uint32_t workers,
                           const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_
