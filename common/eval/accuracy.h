// Running top-1 and top-5 accuracy.
#ifndef VITRINE_COMMON_EVAL_ACCURACY_H_
#define VITRINE_COMMON_EVAL_ACCURACY_H_

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace vitrine {

struct Accuracy {
  double top1 = 0, top5 = 0;  ///< in [0, 1]; 0 without images
  std::uint64_t images = 0;
};

/// Counts over any number of batches. An image is correct in the top k if fewer than k other classes score at least as
/// high as its label: ties count against the model, so that constant logits score 0. NaN is never correct.
class AccuracyCounts {
 public:
  /// logits: [N, K] of any floating type; labels: int64 [N] in [0, K), on the same device. Throws Error for other
  /// shapes or labels.
  void add(const at::Tensor& logits, const at::Tensor& labels);
  /// Adds another worker's counts.
  void add(const AccuracyCounts& other);
  Accuracy accuracy() const;

 private:
  std::uint64_t top1_ = 0, top5_ = 0, images_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_EVAL_ACCURACY_H_
