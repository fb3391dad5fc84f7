// How good a model is on a folder of images: the shorter side resized, the centre cropped, top-1 and top-5.
#ifndef VITRINE_TRAIN_EVALUATE_H_
#define VITRINE_TRAIN_EVALUATE_H_

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "common/eval/accuracy.h"
#include "common/image/scan.h"
#include "common/image/views.h"
#include "train/network.h"

namespace vitrine {

/// One folder, scanned once and judged as often as wanted.
class Evaluation {
 public:
  /// Throws Error when the folder's classes are not `classes`, in order; no names are any, in the number of `count`.
  Evaluation(const std::string& folder, const std::vector<std::string>& classes, std::size_t count, int size,
             const TrainOptions& options);
  /// Of whatever classes the folder has, or with Labels::kNone of any images.
  Evaluation(const ImageFolders& folder, int size, const TrainOptions& options);

  /// Leaves the network in evaluation mode. Images are decoded on the options' workers. An image that cannot be read is
  /// left out of the count; throws Error when none can be read.
  Accuracy run(Network& network, at::Device device) const;
  /// `visit(logits, labels, images)` for one batch after the other: [N, classes] and int64 [N] (-1: none) on the device,
  /// of the N images of the index with these numbers, ascending: all but those that cannot be read.
  using Visit =
      std::function<void(const at::Tensor& logits, const at::Tensor& labels, std::span<const std::uint32_t> images)>;
  void visit(Network& network, at::Device device, const Visit& visit) const;

  const ImageIndex& index() const { return *index_; }
  struct Crops {
    at::Tensor pictures;                ///< uint8 [N, size, size, 3]
    std::vector<std::uint32_t> images;  ///< of those that were asked for, the N that can be read
  };
  /// Clean crops of some images as a model with these settings sees them.
  Crops crops(std::span<const std::uint32_t> images, int size, double crop_fraction) const;
  /// What the scan left out, and the images that could not be read since, by their paths.
  std::vector<LeftOut> left_out() const;

 private:
  /// An index, and what the scan left out.
  struct Scanned {
    std::shared_ptr<const ImageIndex> index;
    std::vector<LeftOut> left_out;
  };
  static Scanned scanned(const ImageFolders& folder);
  static Scanned scanned(const std::string& folder, const std::vector<std::string>& classes, std::size_t count);
  Evaluation(const ImageFolders& folder, Scanned scanned, int size, const TrainOptions& options);

  ImageFolders folder_;
  std::shared_ptr<const ImageIndex> index_;
  std::vector<LeftOut> left_out_;
  std::shared_ptr<BadPictures> bad_;
  ViewMaker views_;
  int size_;
  TrainOptions options_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATE_H_
