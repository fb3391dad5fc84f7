#include "extract/run/shard_line.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

namespace vitrine {
namespace {

constexpr std::size_t kShards = 2;  // in memory

struct Open {
  explicit Open(std::unique_ptr<ShardWork> given)
      : work(std::move(given)), groups(work->groups()), to_make(groups), to_compress(groups) {}
  std::unique_ptr<ShardWork> work;
  std::uint32_t groups;
  std::uint32_t next_make = 0, next_compress = 0;  // not yet started
  std::uint32_t to_make, to_compress;              // not yet finished
};

struct Job {
  Open* shard;
  bool compress;
  std::uint32_t group;
};

class Line {
 public:
  explicit Line(const std::function<std::unique_ptr<ShardWork>()>& next) : next_(next) {}

  void work() {
    guarded([&] { make_and_compress(); });
  }
  void write() {
    guarded([&] { publish(); });
  }

  // Call when no thread is inside any more.
  void rethrow() const {
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void make_and_compress() {
    std::unique_lock lock(mutex_);
    while (!failure_) {
      const std::optional<Job> job = take();
      if (!job) {
        if (ended_ && all_given_out()) return;
        changed_.wait(lock);
        continue;
      }
      lock.unlock();
      // Isolated: a job that waits for its own tasks must not start another worker's loop meanwhile.
      tbb::this_task_arena::isolate(
          [&] { job->compress ? job->shard->work->compress(job->group) : job->shard->work->make(job->group); });
      lock.lock();
      if (--(job->compress ? job->shard->to_compress : job->shard->to_make) == 0) changed_.notify_all();
    }
  }

  void publish() {
    std::unique_lock lock(mutex_);
    while (true) {
      if (!open_.empty() && open_.front().to_compress == 0) {
        ShardWork& first = *open_.front().work;
        lock.unlock();
        first.publish();
        lock.lock();
        open_.pop_front();
        changed_.notify_all();
      } else if (failure_ || (ended_ && open_.empty())) {
        return;
      } else {
        changed_.wait(lock);
      }
    }
  }

  // Requires the lock, as do the next two.
  std::optional<Job> take() {
    for (Open& shard : open_)
      if (shard.to_make == 0 && shard.next_compress < shard.groups) return Job{&shard, true, shard.next_compress++};
    for (Open& shard : open_)
      if (shard.next_make < shard.groups) return Job{&shard, false, shard.next_make++};
    if (ended_ || open_.size() == kShards) return std::nullopt;
    std::unique_ptr<ShardWork> work = next_();
    if (!work) {
      ended_ = true;
      changed_.notify_all();
      return std::nullopt;
    }
    Open& shard = open_.emplace_back(std::move(work));
    changed_.notify_all();
    return Job{&shard, false, shard.next_make++};
  }
  bool all_given_out() const {
    return std::ranges::all_of(open_, [](const Open& shard) { return shard.next_compress == shard.groups; });
  }
  template <class Act>
  void guarded(const Act& act) {
    try {
      act();
    } catch (...) {
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
      changed_.notify_all();
    }
  }

  const std::function<std::unique_ptr<ShardWork>()>& next_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Open> open_;  // in order; the writer may hold the front one. A deque, so that references stay valid
  bool ended_ = false;     // next_ returned null
  std::exception_ptr failure_;
};

}  // namespace

void run_shard_line(tbb::task_arena& arena, std::uint32_t workers,
                    const std::function<std::unique_ptr<ShardWork>()>& next) {
  Line line(next);
  std::jthread writer([&] { line.write(); });
  arena.execute([&] {
    tbb::parallel_for(
        0u, workers, [&](std::uint32_t) { line.work(); }, tbb::simple_partitioner());
  });
  writer.join();
  line.rethrow();
}

}  // namespace vitrine
