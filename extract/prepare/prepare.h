// Act one of extraction, once per cache: the index, the plan, the judgement of the teacher, bases and track settings.
// All that act two needs is written here, prepared.json last.
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

/// What act one has found out and act two of the same process need not ask again.
struct Prepared {
  std::shared_ptr<BadPictures> bad;  ///< pictures of the index that cannot be had now
  std::uint32_t workers = 1;         ///< that fit into the memory
  std::string size;                  ///< what the passes take, for people
};

/// Prepares what is not yet prepared of the configuration, and holds the rest against it: pictures against the index,
/// as options.verify_images says, and settings. `teacher`: of these options. While it prepares it holds the cache's
/// lock (lock.h). Nothing is written before all that can be refused was, and the teacher was judged and the bases were
/// made; after a kill at any moment the same call goes on. A teacher is judged when none of its tracks is prepared yet,
/// and a basis is made once. Throws Error, and Stopped once `stop` is set.
Prepared prepare(const ExtractOptions& options, const Teacher& teacher, const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_PREPARE_H_
