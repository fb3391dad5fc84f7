// A teacher's options and what its tracks say of it, each from the other.
#ifndef VITRINE_COMMON_TEACHER_RECORDS_H_
#define VITRINE_COMMON_TEACHER_RECORDS_H_

#include <string>

#include "common/cache/provenance.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// `options` with every size filled in (resolve()). The list of classes is the index's and left out.
TeacherRecord teacher_record(const TeacherOptions& options, const std::string& weights_sha256);

/// Options with which a Teacher computes what `track` holds. `weights`: the file; `device`: empty for the kind that the
/// track names. Throws Error, kNewer, for a teacher that this version cannot build.
TeacherOptions teacher_options(const TrackInfo& track, const std::string& weights, const std::string& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_RECORDS_H_
