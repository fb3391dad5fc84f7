// Prefetches groups of views with their labels and targets on a bounded pipeline, and returns them in the order in
// which they were requested.
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

/// A group that is ready to train on; vectors have one entry per view.
struct GroupBatch {
  StreamItem item;
  std::uint32_t views = 0;
  std::vector<std::int64_t>
      order;  ///< permutation in which the student takes the views: a function of seed, epoch and group
  std::vector<std::uint8_t> pictures;              ///< [views, size, size, 3]
  std::vector<std::int64_t> label, partner_label;  ///< -1: none
  std::vector<float> own_share;
  /// 1: a picture of the view could not be read, when its targets were made or now. The view is black and has no label;
  /// no loss may use it.
  std::vector<char> left_out;
  GroupTargets targets;
  /// Set when the student's picture differs from the teacher's: a message that names pass and group. Empty: they are
  /// equal, or the teacher's is not known.
  std::string other_picture;
};

struct StreamOptions {
  int size = 224;  ///< of the student's pictures
  std::uint64_t seed = 0;
  std::uint32_t workers = 1;  ///< threads
  std::uint32_t ahead = 4;    ///< largest number of groups being made or waiting
  AugmentOptions augment;
  bool labels = true;  ///< false: no view has a label, whatever the recipes say
};

/// Makes one group; a pure function of its arguments, run by the pipeline's workers. Thread-safe. When the picture at
/// the teacher's resolution is not the one that the teacher saw, other_picture says so and the caller decides. Throws
/// Error when a picture cannot be read, unless `views` skips such pictures, and whatever the source throws.
GroupBatch make_group(const TargetSource& source, const ViewMaker& views, const StreamOptions& options,
                      const StreamItem& item);

/// `source` and `views` must outlive the stream. Only one thread may call next().
class GroupStream {
 public:
  /// `items(n)` returns the n-th group to make, or nothing at the end; it is called with first, first + 1, ..., by one
  /// thread at a time.
  GroupStream(const TargetSource& source, const ViewMaker& views, StreamOptions options,
              std::function<std::optional<StreamItem>(std::uint64_t)> items, std::uint64_t first);
  /// Stops the workers and drops prefetched groups.
  ~GroupStream();
  GroupStream(const GroupStream&) = delete;
  GroupStream& operator=(const GroupStream&) = delete;

  /// The next group, or nothing at the end. Rethrows a worker's exception.
  std::optional<GroupBatch> next();

 private:
  struct Shared;
  std::unique_ptr<Shared> shared_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_DATA_STREAM_H_
