// The pipeline that makes shards: many threads make and compress groups while one more thread writes files.
#ifndef VITRINE_EXTRACT_RUN_SHARD_LINE_H_
#define VITRINE_EXTRACT_RUN_SHARD_LINE_H_

#include <tbb/task_arena.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "common/base/stop.h"

namespace vitrine {

/// The work for one shard of all tracks. An exception ends the pipeline.
class ShardWork {
 public:
  virtual ~ShardWork() = default;
  virtual std::uint32_t groups() const = 0;  ///< at least 1
  /// Called once per group, concurrently, in any order. `dropped`: set when the shard will not be published; make() may
  /// then throw Stopped.
  virtual void make(std::uint32_t group, const StopFlag& dropped) = 0;
  /// Called once per group, concurrently, after the last make().
  virtual void compress(std::uint32_t group) = 0;
  /// Called once, after the last compress(), on the writing thread, in the order of the shards.
  virtual void publish() = 0;
};

/// What becomes of the shards in work when a stop is requested: those that can be complete in time are finished, the
/// others are dropped, without another make() or compress().
struct LineStop {
  using Shards = std::span<const ShardWork* const>;

  const StopFlag& requested;  ///< looked at before each group, and ten times a second
  /// Estimated from the groups so far. A shard that takes more than twice as long after all is dropped then.
  std::chrono::duration<double> finish_within;
  /// Told what is finished and what is dropped: once if shards are in work, and when more are dropped later. Must not
  /// block.
  std::function<void(Shards finished, Shards dropped)> tell = [](Shards, Shards) {};
};

/// Runs every shard that `next` returns, until it returns null or a stop is requested. `workers` threads of the arena
/// make and compress, oldest shard first; another thread publishes. At most two shards exist at any time: `next` is
/// called when there is room (one call at a time, on any of the threads). The first exception ends the pipeline:
/// complete shards are still published, the others are dropped, and the exception is rethrown.
void run_shard_line(tbb::task_arena& arena, std::uint32_t workers,
                    const std::function<std::unique_ptr<ShardWork>()>& next, const LineStop& stop);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_SHARD_LINE_H_
