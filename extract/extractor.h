// Stage one: recipes -> pictures -> teacher -> taps -> encode -> shards.
#ifndef VITRINE_EXTRACT_EXTRACTOR_H_
#define VITRINE_EXTRACT_EXTRACTOR_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <span>
#include <vector>

#include "common/image/views.h"
#include "common/teacher/teacher.h"

namespace vitrine {

/// One shard of every track.
struct ShardKey {
  std::uint32_t pass, shard;
};

/// Share `part` = "i/n", 1 ≤ i ≤ n, of the shards of the passes, in order. Throws Error for another form.
std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part);

/// Makes shards. The bytes of a shard do not depend on `workers`, on other shards or on when it is made.
class Extractor {
 public:
  /// References must outlive the extractor. The cache and its tracks exist (create_cache, create_track).
  Extractor(std::filesystem::path cache, const Plan& plan, const Teacher& teacher, const ViewMaker& views,
            std::uint32_t workers);

  /// Whether all files of a shard are there.
  bool complete(ShardKey key) const;
  struct Made {
    std::uint64_t views = 0, bytes = 0, shards = 0;
    bool stopped = false;
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
  std::vector<TrackInfo> tracks_;
  std::uint32_t workers_;
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_EXTRACTOR_H_
