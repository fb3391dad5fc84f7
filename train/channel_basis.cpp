#include "train/channel_basis.h"

#include <torch/torch.h>

#include "train/precision.h"

namespace vitrine {
namespace {

at::Tensor copied(const std::vector<float>& values, at::IntArrayRef shape, at::Device device) {
  return at::tensor(values, at::kFloat).view(shape).to(device);
}

}  // namespace

ChannelBasis::ChannelBasis(const FeatureBasis& basis, at::Device device)
    : turned_(copied(basis.vectors, {1, basis.channels, basis.channels}, device).mT().contiguous()),
      mean_(copied(basis.mean, {1, basis.channels, basis.positions()}, device)) {}

at::Tensor ChannelBasis::maps(const at::Tensor& coefficients) const {
  const at::NoGradGuard no_gradient;
  const FullPrecision precision;
  const std::int64_t views = coefficients.size(0);
  return at::baddbmm(mean_.expand({views, -1, -1}), turned_.expand({views, -1, -1}), coefficients.flatten(2))
      .view_as(coefficients);
}

}  // namespace vitrine
