// A teacher again, from what its tracks say about it: for verification, years later, on another machine.
#ifndef VITRINE_COMMON_TEACHER_REOPEN_H_
#define VITRINE_COMMON_TEACHER_REOPEN_H_

#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// Options with which a Teacher gives the values of some tracks.
struct ReopenedTeacher {
  TeacherOptions teacher;
  TapOptions taps;
  std::vector<const TrackInfo*> tracks;  ///< of those given to reopen_teachers()
};

/// As few teachers as give all `tracks`: those of equal teachers and arithmetic share one. `weights`: the file;
/// `device`: empty for the kind that the tracks name. The pointers are to `tracks`. Throws Error for a teacher that
/// only a newer version can build, or when the weights are another file than a track's.
std::vector<ReopenedTeacher> reopen_teachers(const std::vector<TrackInfo>& tracks, const std::string& weights,
                                             const std::string& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_REOPEN_H_
