#include "common/models/convolution.h"

#include <limits>
#include <optional>

namespace vitrine {
namespace {

constexpr std::int64_t kBlock = 8;  // channels of an AVX2 register

std::optional<at::Tensor> given(const at::Tensor& bias) {
  return bias.defined() ? std::optional(bias) : std::nullopt;
}

}  // namespace

at::Tensor pointwise_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                 std::int64_t stride) {
  if (!x.is_cpu() || (weight.size(0) % kBlock == 0 && weight.size(1) % kBlock == 0))
    return at::conv2d(x, weight, given(bias), stride);
  constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
  const at::Tensor seen = stride == 1 ? x : x.slice(2, 0, kEnd, stride).slice(3, 0, kEnd, stride);
  return at::linear(seen.permute({0, 2, 3, 1}), weight.flatten(1), given(bias)).permute({0, 3, 1, 2});
}

at::Tensor ConvolutionImpl::forward(const at::Tensor& x) {
  const bool pointwise = weight.size(2) == 1 && weight.size(3) == 1 && options.groups() == 1 &&
                         std::get<torch::ExpandingArray<2>>(options.padding())->at(0) == 0 &&
                         options.stride()->at(0) == options.stride()->at(1);
  return pointwise ? pointwise_convolution(x, weight, bias, options.stride()->at(0)) : Conv2dImpl::forward(x);
}

}  // namespace vitrine
