// The pipeline that makes shards: many threads make and compress groups while one more thread writes files.
#ifndef VITRINE_EXTRACT_RUN_SHARD_LINE_H_
#define VITRINE_EXTRACT_RUN_SHARD_LINE_H_

#include <tbb/task_arena.h>

#include <cstdint>
#include <functional>
#include <memory>

namespace vitrine {

/// The work for one shard of all tracks. An exception ends the pipeline.
class ShardWork {
 public:
  virtual ~ShardWork() = default;
  virtual std::uint32_t groups() const = 0;  ///< at least 1
  /// Called once per group, concurrently, in any order.
  virtual void make(std::uint32_t group) = 0;
  /// Called once per group, concurrently, after the last make().
  virtual void compress(std::uint32_t group) = 0;
  /// Called once, after the last compress(), on the writing thread, in the order of the shards.
  virtual void publish() = 0;
};

/// Runs every shard that `next` returns, until it returns null. `workers` threads of the arena make and compress,
/// oldest shard first; another thread publishes. At most two shards exist at any time: `next` is called when there is
/// room (one call at a time, on any of the threads). The first exception ends the pipeline: complete shards are still
/// published, the others are dropped, and the exception is rethrown.
void run_shard_line(tbb::task_arena& arena, std::uint32_t workers,
                    const std::function<std::unique_ptr<ShardWork>()>& next);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_SHARD_LINE_H_
