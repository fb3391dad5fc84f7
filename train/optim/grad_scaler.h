// Keeps small gradients of an FP16 student from underflowing: the loss is multiplied by a scale before backward and the
// gradients are divided by it afterwards. An update with non-finite gradients is skipped and shrinks the scale; a
// number of consecutive good updates grows it (Micikevicius et al. 2018; same arithmetic as torch.amp.GradScaler).
#ifndef VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_
#define VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "common/config/fields.h"
#include "common/models/weights/safetensors.h"

namespace vitrine {

struct ScalerOptions {
  double scale = 65536;   // initial
  double growth = 2;      // factor after `interval` consecutive updates without overflow
  double back_off = 0.5;  // factor after an overflow
  std::int64_t interval = 2000;

  void fields(Fields& f);
};

class GradScaler {
 public:
  GradScaler(const ScalerOptions& options, at::Device device);

  at::Tensor scaled(const at::Tensor& loss) const { return loss * scale_; }
  /// Divides the gradients (on the scaler's device) by the scale in place, then updates the scale. Returns whether all
  /// gradients are finite; otherwise they must not be used. Synchronises with the device.
  bool unscale(const std::vector<at::Tensor>& gradients);

  double scale() const { return scale_.item<double>(); }
  std::uint64_t skipped() const { return skipped_; }  ///< updates skipped so far

  /// "scale", "good_updates" and "skipped": all that load() needs for a bit-exact continuation.
  Tensors state() const;
  /// Throws Error that names `where` (a file) when one is missing.
  void load(const Tensors& state, const std::string& where);

 private:
  ScalerOptions options_;
  at::Tensor scale_;         // float []
  at::Tensor good_updates_;  // int32 []: consecutive ones
  std::uint64_t skipped_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_OPTIM_GRAD_SCALER_H_
