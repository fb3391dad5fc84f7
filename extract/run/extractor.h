// The extraction pipeline: recipes -> pictures -> teacher -> taps -> encode -> shards.
#ifndef VITRINE_EXTRACT_RUN_EXTRACTOR_H_
#define VITRINE_EXTRACT_RUN_EXTRACTOR_H_

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/shard_directory.h"
#include "common/cache/shard_draft.h"
#include "common/codec/loss.h"
#include "common/image/views.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/teacher.h"
#include "extract/part.h"
#include "extract/run/encode.h"

namespace vitrine {

/// Makes shards of recipes and tracks. The bytes of a shard do not depend on `workers`, on other shards or on when it
/// is made. If `views` skips unreadable pictures, the views that need them are marked in the recipes and have blank
/// targets (left_out_views.h); existing recipes are replaced by ones with more marks before new targets are published.
class Extractor {
 public:
  static constexpr std::chrono::seconds kFinishWithin{5};  ///< a batch system kills half a minute after its signal

  /// References must outlive the extractor. `teacher`: null for the recipes alone. `ready`: the teacher's tracks, in
  /// its order, as created in the cache (create_cache, create_track, basis.h5). `notes`: stored in every shard,
  /// together with its quantisation error.
  Extractor(std::filesystem::path cache, const Plan& plan, const Teacher* teacher, const ViewMaker& views,
            ReadyTracks ready, ShardNotes notes, std::uint32_t workers);

  struct Made {
    std::uint64_t views = 0, bytes = 0, shards = 0;
    std::uint64_t left_out = 0;          ///< of `views`: their pictures could not be read
    bool stopped = false;                ///< `stop` was set before all was done
    std::vector<CodecLoss> losses = {};  ///< one per track, over the new shards
    struct Directory {
      std::filesystem::path path;
      std::vector<FileRecord> files = {};  ///< published ones
    };
    std::vector<Directory> directories = {};  ///< the recipes', then one per track
  };
  /// Makes the missing files of the given shards, in order; existing files are not touched. Lists each directory once.
  /// At most `workers` groups are made at once and two shards are in memory: one may be written while the next is made
  /// (shard_line.h). Once `stop` is set it starts no more shards, finishes those in work that are complete within
  /// `finish_within` (at the most twice that, where they take longer than foreseen), drops the others as if they had
  /// not been begun, and says which. Each published file is immediately added to this run's list (Manifest). Throws
  /// Error; files already published stay.
  Made run(std::span<const ShardKey> shards, const StopFlag& stop,
           std::chrono::duration<double> finish_within = kFinishWithin) const;

 private:
  class Shard;

  std::filesystem::path cache_;
  const Plan& plan_;
  const Teacher* teacher_;
  const ViewMaker& views_;
  ReadyTracks ready_;
  std::vector<GroupEncoder> encoders_;  // of each track
  ShardNotes notes_;
  std::uint32_t workers_;
  bool left_out_later_ = false;  // left_out.tsv has images that failed after the index was made
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_EXTRACTOR_H_
