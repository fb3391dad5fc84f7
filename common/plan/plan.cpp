#include "common/plan/plan.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <limits>
#include <map>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "common/plan/draw.h"
#include "common/plan/options_json.h"

namespace vitrine {

// Cache of pass orders: those that callers hold and the most recently used ones.
class Plan::Orders {
 public:
  Orders(std::uint64_t seed, std::size_t images)
      : seed_(seed), images_(images), kept_(std::clamp<std::size_t>(kKeptBytes / (4 * images), 2, kMaxKept)) {}

  // The lock guards only the list; threads wait only for the order that they need.
  PassOrder get(std::uint32_t pass) {
    const std::shared_ptr<Entry> entry = entry_of(pass);
    std::call_once(entry->once, [&] {
      entry->order.resize(images_);
      std::iota(entry->order.begin(), entry->order.end(), 0u);
      shuffle(entry->order, RandomStream(seed_, Purpose::kPassOrder, pass));
      ++drawn_;
    });
    return PassOrder(entry, &entry->order);
  }
  std::uint64_t drawn() const { return drawn_; }

 private:
  static constexpr std::size_t kKeptBytes = std::size_t{64} << 20, kMaxKept = 64;
  struct Entry {
    std::once_flag once;
    std::vector<std::uint32_t> order;
  };

  std::shared_ptr<Entry> entry_of(std::uint32_t pass) {
    const std::lock_guard lock(mutex_);
    std::shared_ptr<Entry> entry = live_[pass].lock();
    if (!entry) {
      std::erase_if(live_, [](const auto& known) { return known.second.expired(); });
      live_[pass] = entry = std::make_shared<Entry>();
    }
    if (const auto found = std::ranges::find(recent_, entry); found != recent_.end()) recent_.erase(found);
    recent_.push_front(entry);
    if (recent_.size() > kept_) recent_.pop_back();
    return entry;
  }

  std::uint64_t seed_;
  std::size_t images_, kept_;
  std::atomic<std::uint64_t> drawn_ = 0;
  std::mutex mutex_;  // guards live_ and recent_
  std::map<std::uint32_t, std::weak_ptr<Entry>> live_;
  std::deque<std::shared_ptr<Entry>> recent_;
};

Plan::Plan(std::shared_ptr<const ImageIndex> index, PlanOptions options) : index_(std::move(index)), options_(options) {
  check_plan_options(options_, "plan");
  if (index_->images.empty()) fail("the index has no images; a plan needs at least one");
  if (index_->images.size() > std::numeric_limits<std::uint32_t>::max())
    fail("the index has ", index_->images.size(), " images; a plan holds fewer than 2^32");
  constexpr std::uint32_t kMaxSide = std::numeric_limits<std::int32_t>::max();
  for (const ImageEntry& image : index_->images) {
    if (image.height == 0 || image.width == 0 || image.height > kMaxSide || image.width > kMaxSide)
      fail("image ", image.id, " of the index has ", image.height, " x ", image.width,
           " pixels; expected from 1 to 2^31 - 1 on each side; make the index again");
    if (image.label >= index_->classes.size() && image.label != kNoLabel)
      fail("image ", image.id, " of the index has label ", image.label, ", but there are ", index_->classes.size(),
           " classes; make the index again");
  }
  json_ = plan_json(options_, *index_);
  hash_ = sha256_hex(json_);
  orders_ = std::make_shared<Orders>(options_.seed, index_->images.size());
}

PlanOptions Plan::options_from_json(const std::string& json, const std::string& where) {
  return plan_options_from_json(json, where);
}

ShardLayout Plan::layout() const {
  const auto groups = static_cast<std::uint32_t>((index_->images.size() + options_.group - 1) / options_.group);
  return {groups, options_.shard_groups, options_.group};
}

PassOrder Plan::order(std::uint32_t pass) const {
  return orders_->get(pass);
}

std::uint64_t Plan::orders_drawn() const {
  return orders_->drawn();
}

std::vector<Recipe> Plan::group(std::uint32_t pass, std::uint32_t group) const {
  if (group >= groups_per_pass())
    throw std::out_of_range(text("group ", group, " of ", groups_per_pass(), " in a pass"));
  const PassOrder order = orders_->get(pass);
  std::vector<Recipe> views(options_.group);
  for (std::uint32_t i = 0; i < options_.group; ++i) {
    const std::uint64_t position = static_cast<std::uint64_t>(group) * options_.group + i;
    Recipe& view = views[i];
    view.image = (*order)[position % order->size()];
    const ImageEntry& image = index_->images[view.image];
    view.label = image.label;
    const RandomStream crop(options_.seed, Purpose::kCrop, pass, position);
    if (options_.resize == Resize::kLetterbox) {
      draw_letterbox(options_, crop, image.height, image.width, view);
      continue;
    }
    draw_crop(options_, crop, image.height, image.width, view);
    draw_mix(options_, RandomStream(options_.seed, Purpose::kMix, pass, position), i, view);
  }
  return views;
}

}  // namespace vitrine
