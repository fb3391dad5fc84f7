#include "train/optim/grad_scaler.h"

#include <ATen/ATen.h>

#include "common/base/error.h"

namespace vitrine {

void ScalerOptions::fields(Fields& f) {
  f.number("scale", scale, "initial factor of the loss", {1e-3, 1e12});
  f.number("growth", growth, "factor of the scale after `interval` updates without overflow", {1, 1e3});
  f.number("back_off", back_off, "factor of the scale when a gradient is not finite", {1e-3, 1});
  f.integer("interval", interval, "number of consecutive updates without overflow before growth", {1, 1e9});
}

GradScaler::GradScaler(const ScalerOptions& options, at::Device device)
    : options_(options),
      scale_(at::full({}, options.scale, at::TensorOptions(at::kFloat).device(device))),
      good_updates_(at::zeros({}, at::TensorOptions(at::kInt).device(device))) {}

bool GradScaler::unscale(const std::vector<at::Tensor>& gradients) {
  const at::NoGradGuard no_grad;
  at::Tensor found_inf = at::zeros({1}, scale_.options());
  // Single precision suffices: it represents the inverse of any scale at which the loss is still finite.
  const at::Tensor inverse = scale_.to(at::kDouble).reciprocal().to(at::kFloat);
  if (!gradients.empty()) at::_amp_foreach_non_finite_check_and_unscale_(gradients, found_inf, inverse);
  const bool finite = found_inf.item<float>() == 0;
  if (!finite) ++skipped_;
  at::_amp_update_scale_(scale_, good_updates_, found_inf, options_.growth, options_.back_off, options_.interval);
  return finite;
}

Tensors GradScaler::state() const {
  return {{"scale", scale_.cpu().clone()},
          {"good_updates", good_updates_.cpu().clone()},
          {"skipped", at::full({}, static_cast<std::int64_t>(skipped_), at::kLong)}};
}

void GradScaler::load(const Tensors& state, const std::string& where) {
  const at::NoGradGuard no_grad;
  for (const char* name : {"scale", "good_updates", "skipped"})
    if (!state.contains(name) || state.at(name).numel() != 1)
      fail(where, ": the gradient scaler's \"", name, "\" is missing; resume with the precision that it was made with");
  scale_.copy_(state.at("scale").reshape({}));
  good_updates_.copy_(state.at("good_updates").reshape({}));
  skipped_ = static_cast<std::uint64_t>(state.at("skipped").item<std::int64_t>());
}

}  // namespace vitrine
