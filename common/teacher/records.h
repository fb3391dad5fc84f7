// Conversion between a teacher's options and the record in its tracks.
#ifndef VITRINE_COMMON_TEACHER_RECORDS_H_
#define VITRINE_COMMON_TEACHER_RECORDS_H_

#include <optional>
#include <string>

#include "common/cache/provenance.h"
#include "common/cache/track.h"
#include "common/teacher/teacher_options.h"

namespace vitrine {

/// `options`: filled in, as OpenedTeacher gives them, as it does the last two. The list of classes is omitted; it is
/// the index's.
TeacherRecord teacher_record(const TeacherOptions& options, const ArchitectureRecord& architecture,
                             const std::string& weights_sha256, const std::optional<WeightsSize>& resampled_from);

/// The files of a teacher that is opened again from a track's record.
struct TeacherFiles {
  std::string weights;        ///< the weights, or the module of such a teacher
  std::string zero_shot;      ///< empty: none
  bool allow_module = false;  ///< TeacherOptions::allow_module
};

/// Options for a Teacher that computes what `track` holds. `device`: empty for the kind recorded in the track. Throws
/// Error: kNewer for a teacher that this version does not support, kInput for files of another kind of teacher.
TeacherOptions teacher_options(const TrackInfo& track, const TeacherFiles& files, const std::string& device);

/// `options` with what is empty in them filled in as the track's teacher has it: mean, std, crop_pct, and with
/// `same_weights` the structure.
TeacherOptions filled_from(const TrackInfo& track, bool same_weights, TeacherOptions options);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_RECORDS_H_
