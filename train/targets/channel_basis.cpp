#include "train/targets/channel_basis.h"

#include <ATen/ATen.h>

#include "train/losses/precision.h"

namespace vitrine {

ChannelBasis::ChannelBasis(const FeatureBasis& basis, at::Device device)
    : vectors_(at::tensor(basis.vectors, at::kFloat).view({basis.channels, basis.channels}).to(device)) {
  const at::Tensor mean = at::tensor(basis.mean, at::kFloat).view({basis.channels, basis.positions()}).to(device);
  mean_ = vectors_.mm(mean).view({1, basis.channels, basis.height, basis.width});
}

void ChannelBasis::add_mean(at::Tensor& coefficients) const {
  coefficients.add_(mean_);
}

at::Tensor ChannelBasis::maps(const at::Tensor& rotated) const {
  const at::NoGradGuard no_gradient;
  const FullPrecision precision;
  return at::matmul(vectors_.mT(), rotated.flatten(2)).view_as(rotated);
}

}  // namespace vitrine
