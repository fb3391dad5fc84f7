// A teacher again, from what its tracks say about it: for verification, years later, on another machine.
#ifndef VITRINE_COMMON_TEACHER_REOPEN_H_
#define VITRINE_COMMON_TEACHER_REOPEN_H_

#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// A ViT's sizes in words, for a track's provenance: "image_size 224, patch 16, dim 768, ...".
std::string vit_words(const VitOptions& options);

/// Means or deviations likewise, in as few digits as say exactly which numbers they are: "0.485 0.456 0.406".
std::string colour_words(const std::vector<double>& colours);

/// Options with which a Teacher gives the values of some tracks.
struct ReopenedTeacher {
  TeacherOptions teacher;
  TapOptions taps;
  std::vector<const TrackInfo*> tracks;  ///< of those given to reopen_teachers()
};

/// As few teachers as give all `tracks`: those of equal weights and provenance share one. `weights`: the file;
/// `device`: empty for the kind that the provenance names. The pointers are to `tracks`. Throws Error when a provenance
/// lacks or garbles a setting, as those of older versions do, or when the weights are another file than a track's.
std::vector<ReopenedTeacher> reopen_teachers(const std::vector<TrackInfo>& tracks, const std::string& weights,
                                             const std::string& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_REOPEN_H_
