// How good a model is on a folder of images: the shorter side resized, the centre cropped, top-1 and top-5.
#ifndef VITRINE_TRAIN_EVALUATE_H_
#define VITRINE_TRAIN_EVALUATE_H_

#include <memory>
#include <string>

#include "common/eval/accuracy.h"
#include "common/image/views.h"
#include "train/network.h"

namespace vitrine {

/// One folder, scanned once and judged as often as wanted.
class Evaluation {
 public:
  /// Throws Error when the folder's classes are not `classes`, in order.
  Evaluation(const std::string& folder, const std::vector<std::string>& classes, int size, const TrainOptions& options);
  /// Leaves the network in evaluation mode. Images are decoded on the options' workers.
  Accuracy run(Network& network, at::Device device) const;

 private:
  std::shared_ptr<const ImageIndex> index_;
  ViewMaker views_;
  int size_;
  TrainOptions options_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_EVALUATE_H_
