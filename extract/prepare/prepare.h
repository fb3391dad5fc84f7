// The prepare step of an extraction, once per cache: index, plan, check of the teacher, bases and track settings.
// Writes all that the run step needs, prepared.json last.
#ifndef VITRINE_EXTRACT_PREPARE_PREPARE_H_
#define VITRINE_EXTRACT_PREPARE_PREPARE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "common/base/stop.h"
#include "common/image/bad_pictures.h"
#include "common/teacher/teacher.h"
#include "extract/options.h"

namespace vitrine {

/// Results that the run step of the same process reuses.
struct Prepared {
  std::shared_ptr<BadPictures> bad;  ///< unreadable pictures of the index
  std::uint32_t workers = 1;         ///< that fit into memory
  std::string size;                  ///< estimated size of the passes, for display
};

/// Prepares what the configuration still lacks, and compares the rest with it: pictures with the index, as
/// options.verify_images says, and settings. `teacher`: of these options; null for the recipes alone. Holds the cache's
/// lock (lock.h) while preparing. Writes nothing until all checks have passed, the teacher is checked and the bases are
/// computed; after a kill at any moment the same call resumes. A teacher is checked when none of its tracks is prepared
/// yet; a basis is computed once. Throws Error, and Stopped once `stop` is set.
Prepared prepare(const ExtractOptions& options, const Teacher* teacher, const StopFlag& stop);

/// Makes the same checks, the check of the teacher included, and prints tracks, sizes and memory; writes nothing, takes
/// no lock and computes no basis. Throws as prepare() does.
void describe_preparation(const ExtractOptions& options, const Teacher* teacher, const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_PREPARE_H_
