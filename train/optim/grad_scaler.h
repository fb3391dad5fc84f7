// Keeps small gradients of an FP16 student from vanishing: the loss is multiplied by a scale before backward, gradients
// are divided by it after, and an update whose gradients are not finite is left out. The scale shrinks then, and grows
// after a row of good updates (Micikevicius et al. 2018; the arithmetic is that of torch.amp.GradScaler).
#ifndef VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_
#define VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_

#include <torch/torch.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

struct ScalerOptions {
  double scale = 65536;   // at the start
  double growth = 2;      // the scale's factor after `interval` updates in a row without overflow
  double back_off = 0.5;  // the scale's factor after an overflow
  std::int64_t interval = 2000;

  void fields(Fields& f);
};

class GradScaler {
 public:
  GradScaler(const ScalerOptions& options, at::Device device);

  at::Tensor scaled(const at::Tensor& loss) const { return loss * scale_; }
  /// Divides the gradients (on the scaler's device) by the scale, in place, and tells whether all are finite: if not,
  /// they must not be used. Then brings the scale up to date. Waits for the device.
  bool unscale(const std::vector<at::Tensor>& gradients);

  double scale() const { return scale_.item<double>(); }
  std::uint64_t skipped() const { return skipped_; }  ///< updates left out so far

  /// "scale", "good_updates" and "skipped": what `load` needs to go on to the bit.
  Tensors state() const;
  /// Throws Error, which names `where` (a file), when one is missing.
  void load(const Tensors& state, const std::string& where);

 private:
  ScalerOptions options_;
  at::Tensor scale_;         // float []
  at::Tensor good_updates_;  // int32 []: in a row
  std::uint64_t skipped_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_
