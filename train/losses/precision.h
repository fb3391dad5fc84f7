// Keeps the computation of losses in full precision.
#ifndef VITRINE_TRAIN_LOSSES_PRECISION_H_
#define VITRINE_TRAIN_LOSSES_PRECISION_H_

#include <ATen/ATen.h>

namespace vitrine {

/// RAII: disables autocast on this thread, for every device, while it lives. Gradients are unaffected.
class FullPrecision {
 public:
  FullPrecision() : off_(c10::autocast_dispatch_keyset) {}

  /// The tensor itself if it is float or double, else a copy in float; undefined stays undefined.
  static at::Tensor of(const at::Tensor& x) {
    if (!x.defined() || x.scalar_type() == at::kDouble) return x;
    return x.to(at::kFloat);
  }

 private:
  c10::impl::ExcludeDispatchKeyGuard off_;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_LOSSES_PRECISION_H_
