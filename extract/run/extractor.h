// Stage one: recipes -> pictures -> teacher -> taps -> encode -> shards.
#ifndef VITRINE_EXTRACT_RUN_EXTRACTOR_H_
#define VITRINE_EXTRACT_RUN_EXTRACTOR_H_

#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/base/stop.h"
#include "common/cache/shard_directory.h"
#include "common/cache/shard_draft.h"
#include "common/codec/loss.h"
#include "common/codec/transform/transform_codec.h"
#include "common/image/views.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/teacher.h"
#include "extract/part.h"

namespace vitrine {

/// Makes shards. The bytes of a shard do not depend on `workers`, on other shards or on when it is made. Where `views`
/// lets a run go on without a picture, views that need it are marked in the recipes, and their targets are blank
/// (left_out_views.h); recipes that are there are replaced by ones with more marks before new targets appear.
class Extractor {
 public:
  /// References must outlive the extractor. `ready`: the teacher's tracks, in its order, as they stand in the cache: it
  /// and they exist (create_cache, create_track, basis.h5). `notes`: go into every shard, with the error made in it.
  Extractor(std::filesystem::path cache, const Plan& plan, const Teacher& teacher, const ViewMaker& views,
            ReadyTracks ready, ShardNotes notes, std::uint32_t workers);

  struct Made {
    std::uint64_t views = 0, bytes = 0, shards = 0;
    std::uint64_t left_out = 0;  ///< of the views: those whose pictures could not be had
    bool stopped = false;
    std::vector<CodecLoss> losses = {};  ///< one per track, over the shards that were made
    struct Directory {
      std::filesystem::path path;
      std::vector<FileRecord> files = {};  ///< that were published
    };
    std::vector<Directory> directories = {};  ///< of the recipes, then of each track
  };
  /// Makes the missing files of the given shards, in order; files that are there are not touched. Each directory is
  /// listed once to see what is there. At most `workers` groups are in work and two shards in memory: one may be
  /// written while the next is made (shard_line.h). Begins no more shards once `stop` is set. What is published goes
  /// into a list of this run at once (manifest.h). Throws Error; every file that was published before stays.
  Made run(std::span<const ShardKey> shards, const StopFlag& stop) const;

 private:
  class Shard;

  std::filesystem::path cache_;
  const Plan& plan_;
  const Teacher& teacher_;
  const ViewMaker& views_;
  ReadyTracks ready_;
  std::vector<const TransformCodec*>
      in_basis_;  // of each track, where an error of coefficients is one of features; else null
  ShardNotes notes_;
  std::uint32_t workers_;
  bool left_out_later_ = false;  // left_out.tsv names images that failed after the index was made
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_EXTRACTOR_H_
