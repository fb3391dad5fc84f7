#include "extract/run/shard_line.h"

#include <tbb/parallel_for.h>

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <limits>
#include <list>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace vitrine {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kShards = 2;  // in memory
constexpr std::chrono::milliseconds kLook{100};

struct Open {
  explicit Open(std::unique_ptr<ShardWork> given)
      : work(std::move(given)), groups(work->groups()), to_make(groups), to_compress(groups) {}
  std::unique_ptr<ShardWork> work;
  std::uint32_t groups;
  std::uint32_t next_make = 0, next_compress = 0;  // not yet started
  std::uint32_t to_make, to_compress;              // not yet finished
  StopFlag dropped{false};
};

struct Job {
  Open* shard;
  bool compress;
  std::uint32_t group;
};

// How long a kind of job takes.
class Pace {
 public:
  void add(Clock::duration time) {
    seconds_ += std::chrono::duration<double>(time).count();
    ++jobs_;
  }
  bool is_known() const { return jobs_ > 0; }
  double mean() const { return seconds_ / static_cast<double>(jobs_); }

 private:
  double seconds_ = 0;
  std::uint64_t jobs_ = 0;
};

class Line {
 public:
  Line(const std::function<std::unique_ptr<ShardWork>()>& next, std::uint32_t workers, const LineStop& stop)
      : next_(next), workers_(workers), stop_(stop) {}

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
      const Clock::time_point start = Clock::now();
      lock.unlock();
      const bool done = perform(*job);
      lock.lock();
      if (!done) continue;
      (job->compress ? compressing_ : making_).add(Clock::now() - start);
      if (--(job->compress ? job->shard->to_compress : job->shard->to_make) == 0) changed_.notify_all();
    }
  }

  // Whether it was done, which a dropped shard's need not be.
  static bool perform(const Job& job) {
    try {
      ShardWork& work = *job.shard->work;
      // Isolated: a job that waits for its own tasks must not start another worker's loop meanwhile.
      tbb::this_task_arena::isolate(
          [&] { job.compress ? work.compress(job.group) : work.make(job.group, job.shard->dropped); });
      return true;
    } catch (const Stopped&) {
      if (!job.shard->dropped) throw;
      return false;
    }
  }

  void publish() {
    std::unique_lock lock(mutex_);
    while (true) {
      apply_stop();
      const auto first = std::ranges::find_if(open_, [](const Open& shard) { return !shard.dropped; });
      if (first != open_.end() && first->to_compress == 0) {
        lock.unlock();
        first->work->publish();
        lock.lock();
        open_.erase(first);
        changed_.notify_all();
      } else if (failure_ || (ended_ && first == open_.end())) {
        return;
      } else {
        changed_.wait_for(lock, kLook);  // and then for a stop, as long as the workers' groups take
      }
    }
  }

  // Requires the lock, as do all below.
  std::optional<Job> take() {
    apply_stop();
    for (Open& shard : open_)
      if (!shard.dropped && shard.to_make == 0 && shard.next_compress < shard.groups)
        return Job{&shard, true, shard.next_compress++};
    for (Open& shard : open_)
      if (!shard.dropped && shard.next_make < shard.groups) return Job{&shard, false, shard.next_make++};
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
    return std::ranges::all_of(open_,
                               [](const Open& shard) { return shard.dropped || shard.next_compress == shard.groups; });
  }

  // With all workers on it. Compressing is the smaller part, and is not counted before its pace is known.
  double seconds_to_complete(const Open& shard) const {
    const auto seconds = [&](std::uint32_t jobs, double each) {
      return jobs == 0 ? 0.0 : static_cast<double>((jobs - 1) / workers_ + 1) * each;
    };
    return seconds(shard.to_make, making_.is_known() ? making_.mean() : std::numeric_limits<double>::infinity()) +
           seconds(shard.to_compress, compressing_.is_known() ? compressing_.mean() : 0);
  }

  void apply_stop() {
    if (!stop_.requested) return;
    const bool first = !stopped_at_;
    if (first) stopped_at_ = Clock::now();
    ended_ = true;
    const std::chrono::duration<double> since = Clock::now() - *stopped_at_;
    const double allowed = first ? stop_.finish_within.count() : 2 * stop_.finish_within.count() - since.count();
    double seconds = 0;
    std::vector<const ShardWork*> finished, dropped;
    for (Open& shard : open_) {
      if (shard.dropped) continue;
      seconds += seconds_to_complete(shard);
      if (shard.to_compress > 0 && seconds > allowed) shard.dropped = true;
      (shard.dropped ? dropped : finished).push_back(shard.work.get());
    }
    if (first ? !open_.empty() : !dropped.empty()) stop_.tell(finished, dropped);
    if (first || !dropped.empty()) changed_.notify_all();
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
  std::uint32_t workers_;
  const LineStop& stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<Open>
      open_;            // in order. A list, so that references stay valid; dropped ones stay, as workers may be in them
  bool ended_ = false;  // next_ returned null, or a stop was requested
  std::optional<Clock::time_point> stopped_at_;  // when the stop was noticed
  Pace making_, compressing_;
  std::exception_ptr failure_;
};

}  // namespace

void run_shard_line(tbb::task_arena& arena, std::uint32_t workers,
                    const std::function<std::unique_ptr<ShardWork>()>& next, const LineStop& stop) {
  Line line(next, workers, stop);
  std::jthread writer([&] { line.write(); });
  arena.execute([&] {
    tbb::parallel_for(
        0u, workers, [&](std::uint32_t) { line.work(); }, tbb::simple_partitioner());
  });
  writer.join();
  line.rethrow();
}

}  // namespace vitrine
