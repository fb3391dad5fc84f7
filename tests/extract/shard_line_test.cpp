#include "extract/run/shard_line.h"

#include <tbb/global_control.h>
#include <ATen/ATen.h>

#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/testing.h"

using namespace vitrine;

namespace {

// Records what the pipeline did, and lets a test control it.
struct Ledger {
  std::atomic<int> alive{0}, most_alive{0};
  std::atomic<bool> out_of_order{false};
  std::vector<int> published;  // only by the writing thread
  std::function<void(int shard, std::uint32_t group)> on_make, on_compress;
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
  void make(std::uint32_t group) override {
    if (ledger_.on_make) ledger_.on_make(shard_, group);
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

void run_line(Ledger& ledger, std::uint32_t workers, int shards, const std::function<bool()>& stopped = {}) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, 8);
  tbb::task_arena arena(static_cast<int>(workers));
  int shard = 0;
  run_shard_line(arena, workers, [&]() -> std::unique_ptr<ShardWork> {
    if (shard == shards || (stopped && stopped())) return nullptr;
    const int mine = shard++;
    return std::make_unique<CountingWork>(ledger, mine, static_cast<std::uint32_t>(mine % 3 + 1));
  });
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
  CHECK_THROWS_WITH(run_shard_line(arena, 2, [&]() -> std::unique_ptr<ShardWork> { throw std::runtime_error("none"); }),
                    "none");
}

TEST_CASE("after the last shard is queued, the shards in progress are finished") {
  Ledger ledger;
  std::atomic<bool> stop{false};
  ledger.on_publish = [&](int shard) { stop = stop || shard == 5; };
  run_line(ledger, 3, 1000, [&] { return stop.load(); });
  CHECK(ledger.published.size() >= 6);
  CHECK(ledger.published.size() <= 8);
  CHECK((ledger.published == first(static_cast<int>(ledger.published.size()))));
  CHECK(ledger.alive == 0);
}
