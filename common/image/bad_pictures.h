// Pictures that the index has and that cannot be had when they are needed: the disk failed, the file went or changed.
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

/// What becomes of a run when a picture that its index has cannot be read.
enum class BadImages {
  kStop,  ///< it stops and names the picture
  kSkip   ///< it goes on; views that need the picture are left out
};

/// The pictures that one run has met, and what becomes of it. Any thread.
class BadPictures {
 public:
  /// `images`: in the index. With kSkip at most `max_share` of them may be bad (but at least ten of them, or half of
  /// them where that is less), so that a folder that is gone, or another one, is no run without pictures.
  BadPictures(BadImages policy, std::size_t images, double max_share);

  /// A picture failed with `error`, after all tries. Throws with kStop, when there are too many, and when the error is
  /// none of the picture's (memory, a fault of the program); else keeps it.
  void meet(std::uint32_t image, const ImageEntry& entry, const Error& error);
  /// A picture that is known to be bad before it is needed. Throws as meet() does when there are too many.
  void add(std::uint32_t image, LeftOut entry);

  /// Whether the picture was met or added: it is not tried again by this run, whose views do not change in its middle.
  bool has(std::uint32_t image) const;

  /// What is called with each picture that is met, once, by one thread at a time. Before the first meet().
  void on_new(std::function<void(const LeftOut&)> tell) { tell_ = std::move(tell); }
  /// Those met so far, by their place in the index.
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

/// Whether an error may be a picture's own, so that another try or another picture may do.
bool is_of_a_picture(const Error& error);

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_BAD_PICTURES_H_
