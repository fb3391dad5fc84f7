// The run step of an extraction, executed by any number of processes at once: makes the shards of one part from what
// the prepare step wrote.
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

/// Results of the prepare step in the same process; without them run_part() determines them.
struct RunStart {
  std::shared_ptr<BadPictures> bad = nullptr;  ///< null: check the folder (folder_check.h)
  std::optional<std::uint32_t> workers = {};   ///< unset: as many as fit into memory
};

struct RunResult {
  Extractor::Made made;
  std::vector<TrackInfo> tracks;  ///< in the teacher's order
};

/// Makes the missing shards of `part` ("i/n"). Reads index.h5, plan.json, the tracks' track.json and basis.h5,
/// left_out.tsv, and the recipes of its own shards; lists directories, and opens no shard of another part. Writes its
/// shards and recipes, its own list in each directory (Manifest in shard_directory.h), lines of left_out.tsv, and
/// shards.json when all parts are complete. `teacher`: of these options, already compared with the cache (compare.h);
/// null for the recipes alone.
/// Throws Error, also when a track of the teacher is not in the cache; files already published stay.
RunResult run_part(const ExtractOptions& options, const std::string& part, const Teacher* teacher, RunStart start,
                   const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_RUN_H_
