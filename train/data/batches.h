// Cuts the groups of a stream into batches on the device, starting at any step of a run.
#ifndef VITRINE_TRAIN_DATA_BATCHES_H_
#define VITRINE_TRAIN_DATA_BATCHES_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/image/augment.h"
#include "common/image/folders.h"
#include "common/image/views.h"
#include "train/data/stream.h"
#include "train/losses/labels.h"
#include "train/optim/schedule.h"
#include "train/targets/channel_basis.h"
#include "train/targets/source.h"

namespace vitrine {

/// One step's views, on the device. Left-out views are dropped, so a batch may have fewer views than asked for, or
/// none. A target is undefined when one of the batch's groups lacks it (its pass has no such track).
struct Batch {
  at::Tensor pictures;  ///< uint8 [B, S, S, 3]
  MixedLabels labels;
  at::Tensor logits;
  std::vector<at::Tensor> features;  ///< one per feature track; rotated where TargetShapes::bases has a basis
  at::Tensor attention;
  at::Tensor embedding;
  /// The first GroupBatch::other_picture among this batch's groups; empty: none.
  std::string other_picture;

  std::int64_t views() const { return pictures.size(0); }
  /// Views [first, first + count); they share memory with this batch.
  Batch rows(std::int64_t first, std::int64_t count) const;
  /// All of its views in parts of `each`, the last part smaller, or one larger where it would be a single view, which
  /// BatchNorm cannot normalise.
  std::vector<Batch> parts(std::int64_t each) const;
};

/// The passes that a run's epochs use, ascending: all of them, and those that have every feature and attention map.
struct PassLists {
  std::vector<std::uint32_t> all, with_maps;
  bool operator==(const PassLists&) const = default;
};
PassLists passes_of(const TargetSource& source);

/// The part of a run's options that determines the order of its views and their pictures.
struct BatchOptions {
  std::uint32_t batch = 64;          ///< views per step; divides the plan's group or is a multiple of it
  std::uint64_t seed = 0;            ///< of order and augmentation
  std::uint32_t workers = 1;         ///< groups in work at once, at least 1
  Labels labels = Labels::kFolders;  ///< kNone: no view has a label, whatever the recipes say
  int size = 224;                    ///< of the student's pictures, in pixels
  AugmentOptions augment;
  ScheduleOptions schedule;  ///< how long the run is, and which of its epochs need passes with maps

  /// Of the stream that makes the batches' groups.
  StreamOptions stream() const;
};

/// Not thread-safe. Runs its own worker threads.
class Batches {
 public:
  /// Throws Error when options.batch does not fit the plan's groups. `source` and `views` must outlive this object.
  /// `passes`: the source's, or fewer for a resumed run that began with fewer.
  Batches(const BatchOptions& options, const TargetSource& source, const ViewMaker& views, at::Device device,
          PassLists passes);
  Batches(const BatchOptions& options, const TargetSource& source, const ViewMaker& views, at::Device device)
      : Batches(options, source, views, device, passes_of(source)) {}

  std::uint64_t steps_per_epoch() const { return steps_per_epoch_; }
  /// Seeks: the next batch is that of `step`, counted from 0 over the whole schedule.
  void start(std::uint64_t step);
  /// Steps of the whole schedule whose phase has the feature term, and how many of them use a pass without maps.
  struct FeatureSteps {
    std::uint64_t wanted = 0, lacking = 0;
  };
  FeatureSteps feature_steps() const;
  /// Throws std::logic_error after the schedule's last step, and whatever the stream throws.
  Batch next();
  /// Groups begun so far whose picture is not the one that the teacher saw. A group that a run resumes in the middle is
  /// not counted again.
  std::uint64_t other_pictures() const { return other_pictures_; }
  /// Views left out of the batches so far because a picture could not be read.
  std::uint64_t left_out() const { return left_out_; }
  /// Seconds that next() has waited for data since construction. Excludes copies to the device, which on a GPU wait for
  /// the previous step.
  double waited() const { return waited_; }
  /// Stops the worker threads.
  void stop() { stream_.reset(); }

 private:
  std::optional<StreamItem> item(std::uint64_t n);
  std::vector<GroupKey> order_of(std::uint32_t epoch) const;
  GroupBatch& group(std::string& other_picture);
  std::vector<std::int64_t> views_to_take(const GroupBatch& group, std::uint32_t count) const;

  BatchOptions options_;
  const TargetSource& source_;
  const ViewMaker& views_;
  at::Device device_;
  PassLists passes_;
  TargetShapes shapes_;
  std::vector<std::optional<ChannelBasis>> bases_;  // one per feature track
  std::uint64_t groups_per_step_, steps_per_group_, steps_per_epoch_;
  std::int64_t ordered_epoch_ = -1;
  std::vector<GroupKey> order_;      // of epoch ordered_epoch_
  std::optional<GroupBatch> group_;  // a group larger than a batch, partly used
  std::uint32_t used_views_ = 0;
  std::uint64_t other_pictures_ = 0, left_out_ = 0;
  double waited_ = 0;
  std::unique_ptr<GroupStream> stream_;  // last member: its threads use the others
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_BATCHES_H_
