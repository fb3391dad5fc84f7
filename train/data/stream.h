// The student's side of the data: groups of views with their labels and targets, made ahead on a bounded pipeline and
// handed over in the order in which they were asked for.
#ifndef VITRINE_TRAIN_DATA_STREAM_H_
#define VITRINE_TRAIN_DATA_STREAM_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/image/augment.h"
#include "common/image/views.h"
#include "train/targets/source.h"

namespace vitrine {

/// One group of an epoch.
struct StreamItem {
  std::uint32_t epoch = 0;
  GroupKey key;
};

/// A group ready to train on, all by view.
struct GroupBatch {
  StreamItem item;
  std::uint32_t views = 0;
  std::vector<std::int64_t> order;     ///< in which a student takes the views: a function of seed, epoch and group
  std::vector<std::uint8_t> pictures;  ///< [views, size, size, 3]
  std::vector<std::int64_t> label, partner_label;  ///< -1: none
  std::vector<float> own_share;
  /// 1: the view's pictures could not be had, when its targets were made or now. It is black, has no label and nothing
  /// is to be learnt from it.
  std::vector<char> left_out;
  GroupTargets targets;
  /// What is wrong with the picture that the teacher saw, naming pass and group; empty: nothing, or it is not known.
  std::string other_picture;
};

struct StreamOptions {
  int size = 224;  ///< of the student's pictures
  std::uint64_t seed = 0;
  std::uint32_t workers = 1;  ///< threads
  std::uint32_t ahead = 4;    ///< groups in work or waiting, at most
  AugmentOptions augment;
  bool labels = true;  ///< off: no view has a label, whatever the recipes say
};

/// One group, from its place alone: what the pipeline's workers do. Any thread. A picture that at equal resolution is
/// not the one that the teacher saw is told in the group (other_picture), whose reader judges it. Throws Error when a
/// picture cannot be had, unless `views` goes on without it, and what the source throws.
GroupBatch make_group(const TargetSource& source, const ViewMaker& views, const StreamOptions& options,
                      const StreamItem& item);

/// `source` and `views` must outlive it. One thread may call next().
class GroupStream {
 public:
  /// `items(n)`: the n-th group to make, or nothing at the end; called in order from `first` on, by one thread at a
  /// time.
  GroupStream(const TargetSource& source, const ViewMaker& views, StreamOptions options,
              std::function<std::optional<StreamItem>(std::uint64_t)> items, std::uint64_t first);
  /// Stops the workers; groups made ahead are dropped.
  ~GroupStream();
  GroupStream(const GroupStream&) = delete;
  GroupStream& operator=(const GroupStream&) = delete;

  /// The next group, or nothing at the end. Rethrows what a worker threw.
  std::optional<GroupBatch> next();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_STREAM_H_
