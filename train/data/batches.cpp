#include "train/data/batches.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "common/base/error.h"
#include "common/plan/epoch.h"

namespace vitrine {
namespace {

// Collects at most `count` rows of a batch from its groups.
class Rows {
 public:
  explicit Rows(std::int64_t count) : count_(count) {}
  // Appends the rows `places` of `all`; a batch lacks a target that one of its groups lacks.
  void add(const at::Tensor& all, const at::Tensor& places) {
    lacking_ = lacking_ || !all.defined();
    if (lacking_) return;
    if (!rows_.defined()) {
      std::vector<std::int64_t> shape = all.sizes().vec();
      shape[0] = count_;
      rows_ = at::empty(shape, all.options());
    }
    at::Tensor next = rows_.narrow(0, filled_, places.size(0));
    at::index_select_out(next, all, 0, places);
    filled_ += places.size(0);
  }
  at::Tensor on(at::Device device) const {
    return lacking_ ? at::Tensor() : (filled_ < count_ ? rows_.narrow(0, 0, filled_) : rows_).to(device);
  }

 private:
  std::int64_t count_, filled_ = 0;
  bool lacking_ = false;
  at::Tensor rows_;
};

}  // namespace

PassLists passes_of(const TargetSource& source) {
  return {source.passes(false), source.passes(true)};
}

Batch Batch::rows(std::int64_t first, std::int64_t count) const {
  const auto cut = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, first, count) : all; };
  Batch out{cut(pictures),  {cut(labels.label), cut(labels.partner_label), cut(labels.own_share), labels.complete},
            cut(logits),    {},
            cut(attention), cut(embedding),
            other_picture};
  for (const at::Tensor& track : features) out.features.push_back(cut(track));
  return out;
}

std::vector<Batch> Batch::parts(std::int64_t each) const {
  std::vector<Batch> out;
  std::int64_t count = 0;
  for (std::int64_t first = 0; first < views(); first += count) {
    count = std::min(each, views() - first);
    if (count > 1 && views() - first - count == 1) ++count;
    out.push_back(count == views() ? *this : rows(first, count));
  }
  return out;
}

StreamOptions BatchOptions::stream() const {
  return {.size = size,
          .seed = seed,
          .workers = workers,
          .ahead = 2 * workers + 2,
          .augment = augment,
          .labels = labels == Labels::kFolders};
}

Batches::Batches(const BatchOptions& options, const TargetSource& source, const ViewMaker& views, at::Device device,
                 PassLists passes)
    : options_(options),
      source_(source),
      views_(views),
      device_(device),
      passes_(std::move(passes)),
      shapes_(source.shapes()) {
  for (const auto& basis : shapes_.bases)
    bases_.push_back(basis ? std::optional<ChannelBasis>(std::in_place, *basis, device) : std::nullopt);
  const std::uint32_t batch = options.batch, group = source.plan().options().group;
  const std::uint64_t groups = source.plan().groups_per_pass();
  if (batch % group != 0 && group % batch != 0)
    fail("batch = ", batch, " neither divides the group of ", group,
         " views nor is a multiple of it; choose one that does");
  groups_per_step_ = std::max(1u, batch / group);
  steps_per_group_ = std::max(1u, group / batch);
  steps_per_epoch_ = groups / groups_per_step_ * steps_per_group_;
  if (steps_per_epoch_ == 0)
    fail("batch = ", batch, " is larger than a pass of ", groups * group, " views; choose a smaller one");
}

std::vector<GroupKey> Batches::order_of(std::uint32_t epoch) const {
  const std::uint32_t groups = source_.plan().groups_per_pass();
  if (source_.new_pass_each_epoch()) return epoch_order(options_.seed, epoch, groups, {epoch});
  const PhaseBounds bounds = phase_bounds(options_.schedule, steps_per_epoch_);
  const std::uint64_t first = epoch * steps_per_epoch_, last = first + steps_per_epoch_;
  bool maps = false;  // of any phase in this epoch, which may begin or end inside it
  for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
    maps = maps ||
           (needs_maps(*options_.schedule.phases()[i]) && std::max(first, bounds[i]) < std::min(last, bounds[i + 1]));
  return epoch_order(options_.seed, epoch, groups, maps ? passes_.with_maps : passes_.all);
}

std::optional<StreamItem> Batches::item(std::uint64_t n) {
  const std::uint64_t groups_per_epoch = steps_per_epoch_ * groups_per_step_ / steps_per_group_;
  const PhaseBounds bounds = phase_bounds(options_.schedule, steps_per_epoch_);
  if (n * steps_per_group_ >= bounds.back() * groups_per_step_) return std::nullopt;
  const auto epoch = static_cast<std::uint32_t>(n / groups_per_epoch);
  if (ordered_epoch_ != epoch) {
    order_ = order_of(epoch);
    ordered_epoch_ = epoch;
  }
  return StreamItem{epoch, order_[n % groups_per_epoch]};
}

Batches::FeatureSteps Batches::feature_steps() const {
  FeatureSteps out;
  if (shapes_.features.empty()) return out;
  const PhaseBounds bounds = phase_bounds(options_.schedule, steps_per_epoch_);
  const bool all_have = passes_.all == passes_.with_maps;
  for (std::uint64_t first = 0; first < bounds.back(); first += steps_per_epoch_) {
    const std::uint64_t last = std::min(first + steps_per_epoch_, bounds.back());
    std::uint64_t wanted = 0;
    for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
      if (const std::uint64_t from = std::max(first, bounds[i]), to = std::min(last, bounds[i + 1]);
          options_.schedule.phases()[i]->feature_term && from < to)
        wanted += to - from;
    out.wanted += wanted;
    if (all_have || wanted == 0) continue;
    const std::uint32_t pass = order_of(static_cast<std::uint32_t>(first / steps_per_epoch_)).front().pass;
    if (!std::ranges::binary_search(passes_.with_maps, pass)) out.lacking += wanted;
  }
  return out;
}

void Batches::start(std::uint64_t step) {
  stream_.reset();
  group_.reset();
  ordered_epoch_ = -1;
  const std::uint64_t groups_per_epoch = steps_per_epoch_ * groups_per_step_ / steps_per_group_;
  const std::uint64_t epoch = step / steps_per_epoch_, in_epoch = step % steps_per_epoch_;
  const std::uint64_t first = epoch * groups_per_epoch + in_epoch * groups_per_step_ / steps_per_group_;
  used_views_ = static_cast<std::uint32_t>(in_epoch % steps_per_group_ * options_.batch);
  stream_ = std::make_unique<GroupStream>(
      source_, views_, options_.stream(), [this](std::uint64_t n) { return item(n); }, first);
}

// The current group, or the next one when it is used up.
GroupBatch& Batches::group(std::string& other_picture) {
  if (group_ && used_views_ < group_->views) return *group_;
  const bool resumed_inside = !group_ && used_views_ > 0;
  const auto asked = std::chrono::steady_clock::now();
  group_ = stream_->next();
  waited_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - asked).count();
  if (!group_) throw std::logic_error("the stream ended before the schedule");
  if (!resumed_inside) used_views_ = 0;
  if (group_->other_picture.empty()) return *group_;
  if (other_picture.empty()) other_picture = group_->other_picture;
  if (!resumed_inside) ++other_pictures_;
  return *group_;
}

Batch Batches::next() {
  const auto batch = static_cast<std::int64_t>(options_.batch);
  Rows pictures(batch), label(batch), partner(batch), share(batch), logits(batch), attention(batch), embedding(batch);
  std::vector<Rows> features(shapes_.features.size(), Rows(batch));
  bool complete = true;
  std::string other_picture;
  for (std::uint32_t rows = 0; rows < options_.batch;) {
    GroupBatch& group = this->group(other_picture);
    const std::uint32_t count = std::min(options_.batch - rows, group.views - used_views_);
    std::vector<std::int64_t> taken = views_to_take(group, count);
    left_out_ += count - taken.size();
    for (const std::vector<std::int64_t>* labels : {&group.label, &group.partner_label})
      for (const std::int64_t place : taken) complete = complete && (*labels)[static_cast<std::size_t>(place)] >= 0;
    const at::Tensor places = at::from_blob(taken.data(), {static_cast<std::int64_t>(taken.size())}, at::kLong);
    const auto all = [&](auto& values, std::vector<std::int64_t> view, at::ScalarType type) {
      view.insert(view.begin(), group.views);
      return values.empty() ? at::Tensor() : at::from_blob(values.data(), view, type);
    };
    pictures.add(all(group.pictures, {options_.size, options_.size, 3}, at::kByte), places);
    label.add(all(group.label, {}, at::kLong), places);
    partner.add(all(group.partner_label, {}, at::kLong), places);
    share.add(all(group.own_share, {}, at::kFloat), places);
    logits.add(all(group.targets.logits, shapes_.logits, at::kFloat), places);
    attention.add(all(group.targets.attention, shapes_.attention, at::kFloat), places);
    embedding.add(all(group.targets.embedding, shapes_.embedding, at::kFloat), places);
    for (std::size_t t = 0; t < features.size(); ++t) features[t].add(group.targets.features[t], places);
    rows += count;
    used_views_ += count;
  }
  Batch out{pictures.on(device_),    {label.on(device_), partner.on(device_), share.on(device_), complete},
            logits.on(device_),      {},
            attention.on(device_),   embedding.on(device_),
            std::move(other_picture)};
  for (std::size_t t = 0; t < features.size(); ++t) {
    out.features.push_back(features[t].on(device_));
    if (bases_[t] && out.features.back().defined()) bases_[t]->add_mean(out.features.back());
  }
  return out;
}

// The next `count` views of the group, in its order, without those left out.
std::vector<std::int64_t> Batches::views_to_take(const GroupBatch& group, std::uint32_t count) const {
  std::vector<std::int64_t> taken;
  for (std::uint32_t i = used_views_; i < used_views_ + count; ++i)
    if (!group.left_out[static_cast<std::size_t>(group.order[i])]) taken.push_back(group.order[i]);
  return taken;
}

}  // namespace vitrine
