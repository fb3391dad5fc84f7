// Reconstructs TeacherOptions from track metadata, for verification.
#ifndef VITRINE_COMMON_TEACHER_REOPEN_H_
#define VITRINE_COMMON_TEACHER_REOPEN_H_

#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/teacher/records.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {

/// Options for a Teacher that reproduces some tracks.
struct ReopenedTeacher {
  TeacherOptions teacher;
  TapOptions taps;
  std::vector<const TrackInfo*> tracks;  ///< point into the argument of reopen_teachers()
};

/// The smallest set of teachers that reproduces all `tracks`: tracks with equal teacher and arithmetic share one.
/// `device`: empty for the kind recorded in the tracks. The returned pointers point into `tracks`. Throws Error for a
/// teacher that needs a newer version, and if the weights differ from those of a track.
std::vector<ReopenedTeacher> reopen_teachers(const std::vector<TrackInfo>& tracks, const TeacherFiles& files,
                                             const std::string& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_REOPEN_H_
