// Shards on their way from plan to disk: groups are made and compressed by many threads while one more thread writes.
#ifndef VITRINE_EXTRACT_RUN_SHARD_LINE_H_
#define VITRINE_EXTRACT_RUN_SHARD_LINE_H_

#include <tbb/task_arena.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace vitrine {

/// What there is to do for one shard of all tracks. What it throws ends the line.
class ShardWork {
 public:
  virtual ~ShardWork() = default;
  virtual std::uint32_t groups() const = 0;  ///< at least 1
  /// Each group once, side by side, in any order.
  virtual void make(std::uint32_t group) = 0;
  /// The same, after the last make().
  virtual void compress(std::uint32_t group) = 0;
  /// After the last compress(), on the writing thread: shard after shard, in their order.
  virtual void publish() = 0;
};

/// Runs every shard that `next` gives, until it gives none. `workers` threads of the arena make and compress, the
/// shard that was begun first before the others; another thread publishes. At most two shards exist at any time: `next`
/// is called when there is room and work for it (one call at a time, on any of the threads). The first exception ends
/// the line: shards that are complete are still published, the others are dropped, and it is thrown on.
void run_shard_line(tbb::task_arena& arena, std::uint32_t workers,
                    const std::function<std::unique_ptr<ShardWork>()>& next);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_SHARD_LINE_H_
