#include "extract/run/shard_line.h"

#include <tbb/global_control.h>
#include <ATen/ATen.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/testing.h"

using namespace vitrine;

namespace {

// Limits of what a stop lets be finished.
constexpr std::chrono::hours kAlways{1};
constexpr std::chrono::seconds kNever{0};

// Records what the pipeline did, and lets a test control it.
struct Ledger {
  std::atomic<int> alive{0}, most_alive{0};
  std::atomic<bool> out_of_order{false};
  std::vector<int> published;  // only by the writing thread
  std::atomic<int> makes{0};   // begun
  std::function<void(int shard, std::uint32_t group)> on_make, on_compress;
  std::function<void(const StopFlag& dropped)> on_dropped;  // in make(), after on_make
  std::function<void(int shard)> on_publish;
};

class CountingWork : public ShardWork {
 public:
  CountingWork(Ledger& ledger, int shard, std::uint32_t groups)
      : ledger_(ledger), shard_(shard), made_(groups), compressed_(groups) {
    const int now = ++ledger_.alive;
    int most = ledger_.most_alive;
    while (now > most && !ledger_.most_alive.compare_exchange_weak(most, now)) {
    }
  }
  ~CountingWork() override { --ledger_.alive; }
  std::uint32_t groups() const override { return static_cast<std::uint32_t>(made_.size()); }
  void make(std::uint32_t group, const StopFlag& dropped) override {
    ++ledger_.makes;
    if (ledger_.on_make) ledger_.on_make(shard_, group);
    if (ledger_.on_dropped) ledger_.on_dropped(dropped);
    if (made_[group]++ != 0) ledger_.out_of_order = true;
  }
  void compress(std::uint32_t group) override {
    for (const auto& made : made_)
      if (made != 1) ledger_.out_of_order = true;
    if (ledger_.on_compress) ledger_.on_compress(shard_, group);
    if (compressed_[group]++ != 0) ledger_.out_of_order = true;
  }
  void publish() override {
    for (const auto& compressed : compressed_)
      if (compressed != 1) ledger_.out_of_order = true;
    if (ledger_.on_publish) ledger_.on_publish(shard_);
    ledger_.published.push_back(shard_);
  }

 private:
  Ledger& ledger_;
  int shard_;
  std::vector<std::atomic<int>> made_, compressed_;
};

// `groups`: of each shard; 0: one, two, three, one and so on.
void run_line(Ledger& ledger, std::uint32_t workers, int shards, const LineStop& stop = {never_stop(), kAlways},
              std::uint32_t groups = 0) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(static_cast<int>(workers));
  int shard = 0;
  const auto next = [&]() -> std::unique_ptr<ShardWork> {
    if (shard == shards) return nullptr;
    const int mine = shard++;
    return std::make_unique<CountingWork>(ledger, mine, groups > 0 ? groups : static_cast<std::uint32_t>(mine % 3 + 1));
  };
  run_shard_line(arena, workers, next, stop);
}

std::vector<int> first(int count) {
  std::vector<int> out;
  for (int i = 0; i < count; ++i) out.push_back(i);
  return out;
}

}  // namespace

TEST_CASE("every group is made, then compressed, once; shards are published in order, at most two exist") {
  for (const std::uint32_t workers : {1u, 2u, 7u}) {
    CAPTURE(workers);
    for (const int shards : {0, 1, 2, 50}) {
      Ledger ledger;
      run_line(ledger, workers, shards);
      CHECK_FALSE(ledger.out_of_order);
      CHECK((ledger.published == first(shards)));
      CHECK(ledger.most_alive <= 2);
      CHECK(ledger.alive == 0);
    }
  }
}

TEST_CASE("the next shard is made while one is written, even with one worker") {
  Ledger ledger;
  std::promise<void> began_next;
  std::atomic<int> calls{0};
  ledger.on_make = [&](int shard, std::uint32_t) {
    if (shard == 1 && calls++ == 0) began_next.set_value();
  };
  // Would deadlock if shard 1 waited for shard 0's publication.
  ledger.on_publish = [&](int shard) {
    if (shard == 0) began_next.get_future().wait();
  };
  run_line(ledger, 1, 3);
  CHECK((ledger.published == first(3)));
}

TEST_CASE("a failure anywhere ends the pipeline, is rethrown, and drops only incomplete shards") {
  struct Place {
    const char* what;
    std::function<void(Ledger&)> set;
    int at_least, at_most;  // published
  };
  const auto boom = [] { throw std::runtime_error("boom"); };
  const std::vector<Place> places{
      {"making", [&](Ledger& l) { l.on_make = [&](int s, std::uint32_t) { s == 4 ? boom() : void(); }; }, 0, 4},
      {"compressing", [&](Ledger& l) { l.on_compress = [&](int s, std::uint32_t) { s == 4 ? boom() : void(); }; }, 0,
       4},
      {"writing", [&](Ledger& l) { l.on_publish = [&](int s) { s == 4 ? boom() : void(); }; }, 4, 4}};
  for (const Place& place : places)
    for (const std::uint32_t workers : {1u, 4u}) {
      CAPTURE(place.what);
      CAPTURE(workers);
      Ledger ledger;
      place.set(ledger);
      CHECK_THROWS_WITH(run_line(ledger, workers, 20), "boom");
      CHECK(ledger.alive == 0);
      CHECK_FALSE(ledger.out_of_order);
      const int published = static_cast<int>(ledger.published.size());
      CHECK((ledger.published == first(published)));
      CHECK(published >= place.at_least);
      CHECK(published <= place.at_most);
      // A complete shard survives another's failure: with one worker all before it are complete.
      if (workers == 1) CHECK(published == 4);
    }
  tbb::task_arena arena(2);
  CHECK_THROWS_WITH(run_shard_line(arena, 2, [&]() -> std::unique_ptr<ShardWork> { throw std::runtime_error("none"); },
                                   {never_stop(), kAlways}),
                    "none");
}

TEST_CASE("after a stop no shard is begun, and those that are soon complete are finished") {
  Ledger ledger;
  StopFlag stop{false};
  int told = 0;
  ledger.on_publish = [&](int shard) { stop = stop || shard == 5; };
  run_line(ledger, 3, 1000, {stop, kAlways, [&](LineStop::Shards finished, LineStop::Shards dropped) {
                               ++told;
                               CHECK(finished.size() >= 1);
                               CHECK(dropped.empty());
                             }});
  CHECK(told <= 1);  // none, if no shard was in work
  CHECK(ledger.published.size() >= 6);
  CHECK(ledger.published.size() <= 8);
  CHECK((ledger.published == first(static_cast<int>(ledger.published.size()))));
  CHECK(ledger.alive == 0);
}

TEST_CASE("after a stop a shard that would take long is dropped: no group is begun any more") {
  for (const std::uint32_t workers : {1u, 2u, 7u}) {
    CAPTURE(workers);
    Ledger ledger;
    StopFlag stop{false};
    std::size_t dropped = 0;
    ledger.on_make = [&](int, std::uint32_t) { stop = stop || ledger.makes > 120; };
    run_line(ledger, workers, 3,
             {stop, kNever, [&](LineStop::Shards, LineStop::Shards late) { dropped += late.size(); }}, 100);
    CHECK(ledger.makes <= 120 + static_cast<int>(workers));
    CHECK(ledger.published.size() <= 1);  // shard 0, which was made before
    CHECK(dropped + ledger.published.size() == 2);
    CHECK(ledger.alive == 0);
  }
}

TEST_CASE("a stop is seen and told while every worker makes a group, which may end early") {
  for (const std::uint32_t workers : {1u, 3u}) {
    CAPTURE(workers);
    Ledger ledger;
    StopFlag stop{false};
    std::atomic<int> told{0};
    ledger.on_make = [&](int, std::uint32_t) { stop = true; };
    // Would not return if only a worker between two groups looked at the stop.
    ledger.on_dropped = [&](const StopFlag& flag) {
      while (!flag) std::this_thread::yield();
      throw Stopped("stopped in a group");
    };
    run_line(ledger, workers, 2,
             {stop, kAlways,
              [&](LineStop::Shards, LineStop::Shards dropped) {
                ++told;
                CHECK(dropped.size() >= 1);  // no group is known to be quick yet
              }},
             5);
    CHECK(told == 1);
    CHECK(ledger.makes <= static_cast<int>(workers));
    CHECK(ledger.published.empty());
    CHECK(ledger.alive == 0);
  }
}

TEST_CASE("after a stop a shard whose groups are all made is finished, and the next one is not begun") {
  Ledger ledger;
  StopFlag stop{false};
  ledger.on_compress = [&](int shard, std::uint32_t) { stop = stop || shard == 0; };
  run_line(ledger, 1, 10, {stop, kAlways}, 4);
  CHECK((ledger.published == first(1)));
  CHECK(ledger.makes == 4);
}
