// How good a model is on a folder of images: the shorter side resized, the centre cropped, top-1 and top-5.
#ifndef VITRINE_TRAIN_EVALUATE_H_
#define VITRINE_TRAIN_EVALUATE_H_

#include <functional>
#include <memory>
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

  /// Leaves the network in evaluation mode. Images are decoded on the options' workers.
  Accuracy run(Network& network, at::Device device) const;
  /// `visit(logits, labels, first)` for one batch after the other: [N, classes] and int64 [N] (-1: none) on the device,
  /// of the index's images from `first` on.
  using Visit = std::function<void(const at::Tensor& logits, const at::Tensor& labels, std::uint32_t first)>;
  void visit(Network& network, at::Device device, const Visit& visit) const;

  const ImageIndex& index() const { return *index_; }
  /// Clean crops of the images `first` to `first + count` as a model with these settings sees them:
  /// uint8 [count, size, size, 3].
  at::Tensor crops(std::uint32_t first, std::uint32_t count, int size, double crop_fraction) const;

 private:
  Evaluation(const ImageFolders& folder, std::shared_ptr<const ImageIndex> index, int size,
             const TrainOptions& options);

  std::shared_ptr<const ImageIndex> index_;
  ViewMaker views_;
  int size_;
  TrainOptions options_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATE_H_
