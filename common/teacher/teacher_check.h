// Checks the teacher on clean crops before a long extraction, and looks for the cause of a low top-1.
#ifndef VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_
#define VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_

#include <cstddef>
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
  std::vector<std::string> notes;  ///< for the user; the figures come first
  std::string refusal;             ///< why to stop, without how to override; empty: no objection
};

/// Evaluates `count` clean crops (clean_crops.h). Refuses a teacher at chance level, and (only without a `map`) one
/// that fits better in another class order (class_order.h). A top-1 far below the mean confidence is noted. Unless mean
/// and std are those of a record (Teacher::normalisation_recorded()) and top-1 is in order, the other usual ones are
/// tried on the same crops; notes the best alternative if it gains at least 3 points and the gain is significant.
/// `folder`: the images' folder, for commands in messages; `keys`: what stands before class_names, class_map and
/// teacher.mean in the configuration ("" or "targets."). Uses `workers` threads; the result does not depend on their
/// number. Throws Stopped once `stop` is set.
TeacherCheck check_teacher(const Teacher& teacher, const ViewMaker& views, const ImageIndex& index, std::uint32_t count,
                           std::uint64_t seed, const ClassMap* map, const std::string& folder, const std::string& keys,
                           std::uint32_t workers, const StopFlag& stop = never_stop());

/// The same of `crops` that the teacher, with its own mean and std, was evaluated on with these arguments.
TeacherCheck check_crops(const Teacher& teacher, CleanCrops crops, const ViewMaker& views, const ImageIndex& index,
                         std::uint32_t count, std::uint64_t seed, const ClassMap* map, const std::string& folder,
                         const std::string& keys, std::uint32_t workers, const StopFlag& stop = never_stop());

/// How the pictures that the teacher was trained on were decoded, and how those of the index are; empty where they are
/// decoded alike, and of a teacher whose weights do not record it.
std::string decoding_difference(const Teacher& teacher, const ImageIndex& index);

/// How often check_teacher() runs the teacher over its crops, unless top-1 gives it reason for more.
std::size_t check_passes(const Teacher& teacher);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_CHECK_H_
