// Images of the index that cannot be read when needed: the disk failed, or the file was removed or changed.
#ifndef VITRINE_COMMON_IMAGE_BAD_PICTURES_H_
#define VITRINE_COMMON_IMAGE_BAD_PICTURES_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <vector>

#include "common/base/error.h"
#include "common/image/left_out.h"
#include "common/plan/image_index.h"

namespace vitrine {

/// Policy for an image of the index that cannot be read.
enum class BadImages {
  kStop,  ///< stop and name the image
  kSkip   ///< continue; views that need the image are left out
};

/// The unreadable images of one run. Thread-safe.
class BadPictures {
 public:
  /// `images`: size of the index. With kSkip, at most `max_share` of them may be bad (but always 10, or half of the
  /// images if that is fewer), so that a missing or wrong folder stops the run.
  BadPictures(BadImages policy, std::size_t images, double max_share);

  /// Records an image that failed with `error` after all tries. Throws with kStop, when there are too many, and when
  /// the image is not at fault (memory, a bug).
  void meet(std::uint32_t image, const ImageEntry& entry, const Error& error);
  /// Records an image known to be bad before it is needed. Throws when there are too many.
  void add(std::uint32_t image, LeftOut entry);

  /// Whether the image was recorded. The run does not try it again, so that its views stay consistent.
  bool has(std::uint32_t image) const;

  /// Sets a callback for each newly recorded image; calls are serialised. Call before the first meet().
  void on_new(std::function<void(const LeftOut&)> tell) { tell_ = std::move(tell); }
  /// The recorded images, in index order.
  std::vector<LeftOut> met() const;

 private:
  void keep(std::uint32_t image, LeftOut entry);

  BadImages policy_;
  std::size_t images_;
  double max_share_;
  std::function<void(const LeftOut&)> tell_;
  mutable std::mutex mutex_;
  std::map<std::uint32_t, LeftOut> met_;
};

/// Whether an error may be specific to one image, so that a retry or another image may succeed.
bool is_of_a_picture(const Error& error);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_BAD_PICTURES_H_
