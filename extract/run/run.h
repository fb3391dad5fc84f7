// Act two of extraction, by any number of processes at once: makes the shards of its part from what preparation wrote.
#ifndef VITRINE_EXTRACT_RUN_RUN_H_
#define VITRINE_EXTRACT_RUN_RUN_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/track.h"
#include "common/image/bad_pictures.h"
#include "common/teacher/teacher.h"
#include "extract/options.h"
#include "extract/run/extractor.h"

namespace vitrine {

/// What a process that has also prepared the cache knows; another finds it out.
struct RunStart {
  std::shared_ptr<BadPictures> bad = nullptr;  ///< else the folder is checked (folder_check.h)
  std::optional<std::uint32_t> workers = {};   ///< else as many as fit into the memory
};

struct RunResult {
  Extractor::Made made;
  std::vector<TrackInfo> tracks;  ///< in the teacher's order
};

/// Makes the missing shards of `part` ("i/n"). Of the cache it reads index.h5, plan.json, the tracks' track.json and
/// basis.h5, left_out.tsv and recipes of its own shards; it lists directories, and opens no shard of another part. It
/// writes its shards and recipes, a list of its own in each directory (manifest.h), lines of left_out.tsv, and
/// shards.json when all parts are there. `teacher`: of these options, held against the cache before (compare.h). Throws
/// Error, also when a track of the teacher is not in the cache; what was published before stays.
RunResult run_part(const ExtractOptions& options, const std::string& part, const Teacher& teacher, RunStart start,
                   const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_RUN_H_
