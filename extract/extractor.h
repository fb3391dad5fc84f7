// Stage one: recipes -> pictures -> teacher -> taps -> encode -> shards.
#ifndef VITRINE_EXTRACT_EXTRACTOR_H_
#define VITRINE_EXTRACT_EXTRACTOR_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/cache/shard_draft.h"
#include "common/codec/loss.h"
#include "common/codec/transform/transform_codec.h"
#include "common/image/views.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/teacher.h"
#include "extract/part.h"

namespace vitrine {

/// Makes shards. The bytes of a shard do not depend on `workers`, on other shards or on when it is made.
class Extractor {
 public:
  /// References must outlive the extractor. `ready`: the teacher's tracks, in its order, as they stand in the cache: it
  /// and they exist (create_cache, create_track, basis.h5). `notes`: go into every shard, with the error made in it.
  Extractor(std::filesystem::path cache, const Plan& plan, const Teacher& teacher, const ViewMaker& views,
            ReadyTracks ready, ShardNotes notes, std::uint32_t workers);

  /// Whether all files of a shard are there.
  bool complete(ShardKey key) const;
  struct Made {
    std::uint64_t views = 0, bytes = 0, shards = 0;
    bool stopped = false;
    std::vector<CodecLoss> losses = {};  ///< one a track, over the shards that were made
  };
  /// Makes the missing files of the given shards, in order; files that are there are not touched. At most `workers`
  /// groups are in work and two shards in memory: one may be written while the next is made (shard_line.h). Begins no
  /// more shards once `stop` is true. Then lists what is there (manifest.h). Throws Error; every file that was
  /// published before stays.
  Made run(std::span<const ShardKey> shards, const std::atomic<bool>& stop) const;

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
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_EXTRACTOR_H_
