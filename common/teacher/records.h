// Conversion between a teacher's options and the record in its tracks.
#ifndef VITRINE_COMMON_TEACHER_RECORDS_H_
#define VITRINE_COMMON_TEACHER_RECORDS_H_

#include <string>

#include "common/cache/provenance.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// `options` must have every size filled in (resolve()). The list of classes is omitted; it is the index's.
TeacherRecord teacher_record(const TeacherOptions& options, const std::string& weights_sha256);

/// Options for a Teacher that computes what `track` holds. `weights`: the weight file; `device`: empty for the kind
/// recorded in the track. Throws Error, kNewer, for a teacher that this version does not support.
TeacherOptions teacher_options(const TrackInfo& track, const std::string& weights, const std::string& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_RECORDS_H_
