#include "train/data/stream.h"

#include <ATen/ATen.h>

#include <tbb/parallel_pipeline.h>
#include <tbb/task_arena.h>

#include <condition_variable>
#include <deque>
#include <numeric>
#include <thread>

#include "common/base/error.h"
#include "common/base/memory.h"
#include "common/base/philox.h"
#include "common/teacher/one_thread_each.h"
#include "train/data/prefetch.h"

namespace vitrine {
namespace {

// The permutation of the group's views.
std::vector<std::int64_t> view_order(std::uint64_t seed, const StreamItem& item, std::uint32_t views) {
  std::vector<std::int64_t> order(views);
  std::iota(order.begin(), order.end(), 0);
  // Minor 0 draws the order of an epoch's groups, minor g + 1 the order inside group g.
  RandomStream draws(seed, Purpose::kEpochOrder, item.epoch, std::uint64_t{item.key.group} + 1);
  for (std::uint32_t i = views; i > 1; --i) std::swap(order[i - 1], order[draws.below(i)]);
  return order;
}

}  // namespace

GroupBatch make_group(const TargetSource& source, const ViewMaker& views, const StreamOptions& options,
                      const StreamItem& item) {
  std::vector<Recipe> recipes = source.recipes(item.key);
  const auto count = static_cast<std::uint32_t>(recipes.size());
  const auto teacher_size = static_cast<int>(source.plan().options().image_size);
  const std::optional<std::size_t> hashed = hashed_view(recipes, item.key.group);
  std::vector<std::uint8_t> pictures = views.group_or_mark(recipes, options.size);
  const std::size_t view_bytes = pictures.size() / count;
  GroupBatch batch;
  // A view that has just been left out has no picture to compare.
  const bool comparable = options.size == teacher_size && hashed && hashed == hashed_view(recipes, item.key.group);
  if (const auto hash = source.picture_hash(item.key); hash && comparable) {
    if (const std::uint64_t own = hash_of_group(recipes, item.key.group, pictures); own != *hash) {
      batch.other_picture = text("pass ", item.key.pass, ", group ", item.key.group, ": the student's picture (hash ",
                                 std::hex, own, ") is not the one that the teacher saw (", *hash,
                                 "); this machine decodes images differently (other versions of libjpeg, libpng or "
                                 "libwebp)");
    }
  }
  if (source.needs_pictures() && options.size != teacher_size) {
    const std::vector<std::uint8_t> seen = views.group_or_mark(recipes, teacher_size);
    batch.targets = source.targets(item.key, recipes, seen);
  } else {
    batch.targets = source.targets(item.key, recipes, pictures);
  }
  const auto label_of = [&](const Recipe& recipe) {
    return options.labels && recipe.label != kNoLabel ? std::int64_t{recipe.label} : std::int64_t{-1};
  };
  batch.item = item;
  batch.views = count;
  batch.order = view_order(options.seed, item, count);
  batch.pictures = std::move(pictures);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Recipe& recipe = recipes[i];
    const bool out = is_left_out(recipe);
    batch.left_out.push_back(out ? 1 : 0);
    batch.label.push_back(out ? -1 : label_of(recipe));
    batch.partner_label.push_back(out ? -1 : label_of(recipe.mix == Mix::kNone ? recipe : recipes[recipe.partner]));
    batch.own_share.push_back(static_cast<float>(own_share(recipe)));
    if (out) continue;
    augment(std::span(batch.pictures).subspan(i * view_bytes, view_bytes), options.size, options.augment, options.seed,
            item.epoch, item.key.pass, std::uint64_t{item.key.group} * count + i);
  }
  return batch;
}

struct GroupStream::Shared {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<GroupBatch> ready;
  std::size_t capacity = 1;
  bool stop = false, ended = false;
  std::exception_ptr failure;
  std::thread runner;
};

GroupStream::GroupStream(const TargetSource& source, const ViewMaker& views, StreamOptions options,
                         std::function<std::optional<StreamItem>(std::uint64_t)> items, std::uint64_t first)
    : shared_(std::make_unique<Shared>()) {
  // At most half of the groups are being made, the other half may wait.
  const std::size_t ahead = groups_ahead(options, source, available_memory());
  const std::size_t tokens = std::max<std::size_t>(1, (ahead + 1) / 2);
  shared_->capacity = std::max<std::size_t>(1, ahead / 2);
  Shared& shared = *shared_;
  shared.runner = std::thread([&shared, &source, &views, options, items = std::move(items), first, tokens] {
    try {
      tbb::task_arena arena(static_cast<int>(options.workers));
      const OneThreadEach one_thread_each(arena);
      std::uint64_t n = first;
      const auto take = [&](tbb::flow_control& control) -> StreamItem {
        bool stopped;
        {
          const std::lock_guard lock(shared.mutex);
          stopped = shared.stop;
        }
        const std::optional<StreamItem> item = stopped ? std::nullopt : items(n++);
        if (!item) control.stop();
        return item.value_or(StreamItem{});
      };
      const auto make = [&](const StreamItem& item) {
        return std::make_shared<GroupBatch>(make_group(source, views, options, item));
      };
      const auto hand_over = [&](const std::shared_ptr<GroupBatch>& batch) {
        std::unique_lock lock(shared.mutex);
        shared.changed.wait(lock, [&] { return shared.stop || shared.ready.size() < shared.capacity; });
        if (!shared.stop) shared.ready.push_back(std::move(*batch));
        shared.changed.notify_all();
      };
      arena.execute([&] {
        tbb::parallel_pipeline(
            tokens,
            tbb::make_filter<void, StreamItem>(tbb::filter_mode::serial_in_order, take) &
                tbb::make_filter<StreamItem, std::shared_ptr<GroupBatch>>(tbb::filter_mode::parallel, make) &
                tbb::make_filter<std::shared_ptr<GroupBatch>, void>(tbb::filter_mode::serial_in_order, hand_over));
      });
    } catch (...) {
      const std::lock_guard lock(shared.mutex);
      shared.failure = std::current_exception();
    }
    const std::lock_guard lock(shared.mutex);
    shared.ended = true;
    shared.changed.notify_all();
  });
}

GroupStream::~GroupStream() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->stop = true;
    shared_->changed.notify_all();
  }
  shared_->runner.join();
}

std::optional<GroupBatch> GroupStream::next() {
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait(lock, [&] { return !shared_->ready.empty() || shared_->ended; });
  if (!shared_->ready.empty()) {
    GroupBatch batch = std::move(shared_->ready.front());
    shared_->ready.pop_front();
    shared_->changed.notify_all();
    return batch;
  }
  if (shared_->failure) std::rethrow_exception(shared_->failure);
  return std::nullopt;
}

}  // namespace vitrine
