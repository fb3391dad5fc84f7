#include "train/batches.h"

#include <torch/torch.h>

#include <algorithm>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/plan/epoch.h"
#include "train/provenance.h"

namespace vitrine {

bool only_features(const PhaseOptions& phase) {
  return phase.feature_term && !phase.output_term && !phase.label_term;
}

Batch Batch::rows(std::int64_t first, std::int64_t count) const {
  const auto cut = [&](const at::Tensor& all) { return all.defined() ? all.narrow(0, first, count) : all; };
  Batch out{cut(pictures),
            {cut(labels.label), cut(labels.partner_label), cut(labels.own_share), labels.complete},
            cut(logits),
            {},
            cut(attention)};
  for (const at::Tensor& track : features) out.features.push_back(cut(track));
  return out;
}

Batches::Batches(const TrainOptions& options, const TargetSource& source, const ViewMaker& views, int size,
                 at::Device device)
    : options_(options), source_(source), views_(views), size_(size), device_(device), shapes_(source.shapes()) {
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

std::optional<StreamItem> Batches::item(std::uint64_t n) {
  const std::uint64_t groups_per_epoch = steps_per_epoch_ * groups_per_step_ / steps_per_group_;
  const PhaseBounds bounds = phase_bounds(options_.schedule, steps_per_epoch_);
  if (n * steps_per_group_ >= bounds.back() * groups_per_step_) return std::nullopt;
  const auto epoch = static_cast<std::uint32_t>(n / groups_per_epoch);
  if (ordered_epoch_ != epoch) {
    const std::uint64_t first = epoch * steps_per_epoch_, last = first + steps_per_epoch_;
    bool features = false;  // a phase that needs them may begin or end inside the epoch
    for (std::size_t i = 0; i < ScheduleOptions::kPhases; ++i)
      features = features || (only_features(*options_.schedule.phases()[i]) &&
                              std::max(first, bounds[i]) < std::min(last, bounds[i + 1]));
    order_ = epoch_order(options_.seed, epoch, source_.plan().groups_per_pass(), source_.passes(features));
    ordered_epoch_ = epoch;
  }
  return StreamItem{epoch, order_[n % groups_per_epoch]};
}

void Batches::start(std::uint64_t step) {
  stream_.reset();
  group_.reset();
  ordered_epoch_ = -1;
  const std::uint64_t groups_per_epoch = steps_per_epoch_ * groups_per_step_ / steps_per_group_;
  const std::uint64_t epoch = step / steps_per_epoch_, in_epoch = step % steps_per_epoch_;
  const std::uint64_t first = epoch * groups_per_epoch + in_epoch * groups_per_step_ / steps_per_group_;
  used_views_ = static_cast<std::uint32_t>(in_epoch % steps_per_group_ * options_.batch);
  const StreamOptions stream{size_,
                             options_.seed,
                             options_.workers,
                             2 * options_.workers + 2,
                             options_.augment,
                             options_.labels == Labels::kFolders,
                             Allowance(options_.allow).allows(Difference::kPictures)};
  stream_ = std::make_unique<GroupStream>(
      source_, views_, stream, [this](std::uint64_t n) { return item(n); }, first);
}

Batch Batches::next() {
  std::vector<at::Tensor> pictures, label, partner, share, logits, attention;
  std::vector<std::vector<at::Tensor>> features(shapes_.features.size());
  bool complete = true;
  for (std::uint32_t rows = 0; rows < options_.batch;) {
    if (!group_ || used_views_ == group_->views) {
      const bool resumed_inside = !group_ && used_views_ > 0;
      group_ = stream_->next();
      if (!group_) throw std::logic_error("the stream ended before the schedule");
      if (!resumed_inside) used_views_ = 0;
      if (!group_->other_picture.empty() && !resumed_inside && other_pictures_++ == 0)
        note(text(group_->other_picture, "; going on, since allow names ", word_of(Difference::kPictures),
                  ", and all such groups are counted"));
    }
    GroupBatch& group = *group_;
    const std::int64_t first = used_views_, count = std::min(options_.batch - rows, group.views - used_views_);
    const auto cut = [&](auto& values, std::vector<std::int64_t> view, at::ScalarType type) {
      std::int64_t each = 1;
      for (const std::int64_t side : view) each *= side;
      view.insert(view.begin(), count);
      return at::from_blob(values.data() + first * each, view, type).clone();
    };
    for (const auto* labels : {&group.label, &group.partner_label})
      complete = complete && std::all_of(labels->begin() + first, labels->begin() + first + count,
                                         [](std::int64_t one) { return one >= 0; });
    pictures.push_back(cut(group.pictures, {size_, size_, 3}, at::kByte));
    label.push_back(cut(group.label, {}, at::kLong));
    partner.push_back(cut(group.partner_label, {}, at::kLong));
    share.push_back(cut(group.own_share, {}, at::kFloat));
    if (!group.targets.logits.empty()) logits.push_back(cut(group.targets.logits, shapes_.logits, at::kFloat));
    for (std::size_t t = 0; t < group.targets.features.size(); ++t)
      if (!group.targets.features[t].empty())
        features[t].push_back(cut(group.targets.features[t], shapes_.features[t], at::kFloat));
    if (!group.targets.attention.empty())
      attention.push_back(cut(group.targets.attention, shapes_.attention, at::kFloat));
    rows += static_cast<std::uint32_t>(count);
    used_views_ += static_cast<std::uint32_t>(count);
  }
  const auto joined = [&](const std::vector<at::Tensor>& parts) {
    return parts.size() < pictures.size() ? at::Tensor() : at::cat(parts).to(device_);
  };
  Batch out{joined(pictures),
            {joined(label), joined(partner), joined(share), complete},
            joined(logits),
            {},
            joined(attention)};
  for (std::size_t t = 0; t < features.size(); ++t) {
    const at::Tensor track = joined(features[t]);
    out.features.push_back(bases_[t] && track.defined() ? bases_[t]->maps(track) : track);
  }
  return out;
}

}  // namespace vitrine
