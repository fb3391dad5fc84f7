#include "common/models/inference/frozen_resnet.h"

#include <ATen/ATen.h>

#include <ATen/core/dispatch/Dispatcher.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "common/base/error.h"
#include "common/kernels/pooling.h"
#include "common/models/autocast.h"
#include "common/models/device.h"
#include "common/models/head.h"
#include "common/models/inference/fold.h"
#include "common/models/instruction_sets.h"

namespace vitrine {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;

constexpr std::array<std::int64_t, 2> kNoDilation = {1, 1};
constexpr int kOldestGpuWithBf16 = 80;

// oneDNN's fused convolutions, which LibTorch has for its own compiler and exports by name only.
template <class Function>
c10::TypedOperatorHandle<Function> onednn_operator(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Function>();
}

at::Tensor pack_convolution(const at::Tensor& weight, at::IntArrayRef padding, at::IntArrayRef stride,
                            at::IntArrayRef input) {
  using Pack = at::Tensor(const at::Tensor&, at::IntArrayRef, at::IntArrayRef, at::IntArrayRef, std::int64_t,
                          at::OptionalIntArrayRef);
  static const auto pack = onednn_operator<Pack>("mkldnn::_reorder_convolution_weight", "");
  return pack.call(weight, padding, stride, kNoDilation, 1, input);
}

at::Tensor convolve_activated(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                              at::IntArrayRef padding, at::IntArrayRef stride, bool relu) {
  using Convolve = at::Tensor(const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef,
                              at::IntArrayRef, at::IntArrayRef, std::int64_t, std::string_view, Scalars,
                              std::optional<std::string_view>);
  static const auto convolve = onednn_operator<Convolve>("mkldnn::_convolution_pointwise", "");
  return convolve.call(x, weight, bias, padding, stride, kNoDilation, 1, relu ? "relu" : "none", Scalars(), "");
}

at::Tensor convolve_into(at::Tensor& sum, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                         at::IntArrayRef padding, at::IntArrayRef stride) {
  using Convolve =
      at::Tensor&(at::Tensor&, const at::Tensor&, const at::Tensor&, const std::optional<at::Tensor>&, at::IntArrayRef,
                  at::IntArrayRef, at::IntArrayRef, std::int64_t, std::string_view, std::optional<at::Scalar>,
                  std::optional<std::string_view>, Scalars, std::optional<std::string_view>);
  static const auto convolve = onednn_operator<Convolve>("mkldnn::_convolution_pointwise_", "binary");
  return convolve.call(sum, x, weight, bias, padding, stride, kNoDilation, 1, "add", at::Scalar(1.0), "relu", Scalars(),
                       "");
}

bool fuses(at::ScalarType type, at::Device device) {
  if (device.is_cuda()) return at::globalContext().userEnabledCuDNN();
  return device.is_cpu() && at::globalContext().userEnabledMkldnn() && computes_natively(type, device) &&
         c10::Dispatcher::singleton().findSchema({"mkldnn::_convolution_pointwise_", "binary"}).has_value();
}

/// A fused ReLU and max_pool_of_relu() can make a number of one that is none, so that the logits would not show it.
void check_finite(const at::Tensor& values, const std::string& layer) {
  if (at::isfinite(values).all().item<bool>()) return;
  throw Error(ErrorKind::kInput,
              {.what = text("the weights of ", layer, ", with its BatchNorm folded in if there is one, are not finite"),
               .remedy = "take weights of an earlier step; the training diverged"});
}

}  // namespace

bool computes_natively(at::ScalarType type, at::Device device) {
  if (type == at::kFloat) return true;
  if (device.is_cuda()) return type == at::kHalf || selected_gpu(device).capability >= kOldestGpuWithBf16;
  return type == at::kBFloat16 ? cpu_has("avx512_bf16") || cpu_has("amx_bf16")
                               : cpu_has("avx512_fp16") || cpu_has("amx_fp16");
}

FrozenResNet::FrozenResNet(const Tensors& weights, at::Device device, const FrozenOptions& options)
    : options_(options), device_(device), fused_(options.fuse && fuses(options.type, device)) {
  const at::NoGradGuard no_grad;
  const ResNetLayers layers = layers_of(weights);
  auto [batch, height, width] = options.shape;
  stem_ = frozen(weights, layers.stem, height, width);
  height = (height + 1) / 2, width = (width + 1) / 2;
  for (const ResidualBlock& from : layers.blocks) {
    Block& block = blocks_.emplace_back();
    std::int64_t shortcut_height = height, shortcut_width = width;
    for (const ConvolutionLayer& layer : from.path) block.path.push_back(frozen(weights, layer, height, width));
    if (from.shortcut) block.shortcut = frozen(weights, *from.shortcut, shortcut_height, shortcut_width);
  }
  const auto own = [&](const char* name) { return weights.at(name).to(device, at::kFloat, false, true); };
  head_weight_ = own("fc.weight"), head_bias_ = own("fc.bias");
  for (const at::Tensor& values : {head_weight_, head_bias_}) check_finite(values, "fc");
}

FrozenResNet::Convolution FrozenResNet::frozen(const Tensors& weights, const ConvolutionLayer& layer,
                                               std::int64_t& height, std::int64_t& width) const {
  const FoldedConvolution folded = fold(weights, layer);
  for (const at::Tensor& values : {folded.weight, folded.bias}) check_finite(values, layer.name);
  Convolution out{folded.weight.to(device_, options_.type).contiguous(at::MemoryFormat::ChannelsLast),
                  folded.bias.to(device_, options_.type),
                  {layer.stride, layer.stride},
                  {layer.padding(), layer.padding()}};
  if (fused_ && options_.pack && device_.is_cpu())
    out.weight = pack_convolution(out.weight, out.padding, out.stride,
                                  {options_.shape[0], folded.weight.size(1), height, width});
  height = (height + 2 * layer.padding() - layer.kernel) / layer.stride + 1;
  width = (width + 2 * layer.padding() - layer.kernel) / layer.stride + 1;
  return out;
}

at::Tensor FrozenResNet::convolved(const at::Tensor& x, const Convolution& layer, bool relu) const {
  if (fused_ && device_.is_cpu())
    return convolve_activated(x, layer.weight, layer.bias, layer.padding, layer.stride, relu);
  if (fused_ && relu)
    return at::cudnn_convolution_relu(x, layer.weight, layer.bias, layer.stride, layer.padding, kNoDilation, 1);
  at::Tensor out = at::conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding);
  return relu ? out.relu_() : out;
}

at::Tensor FrozenResNet::added(const at::Tensor& x, const Convolution& layer, at::Tensor sum) const {
  if (fused_ && device_.is_cpu()) return convolve_into(sum, x, layer.weight, layer.bias, layer.padding, layer.stride);
  if (fused_)
    return at::cudnn_convolution_add_relu(x, layer.weight, sum, 1.0, layer.bias, layer.stride, layer.padding,
                                          kNoDilation, 1);
  return at::conv2d(x, layer.weight, layer.bias, layer.stride, layer.padding).add_(sum).relu_();
}

at::Tensor FrozenResNet::forward(const at::Tensor& input) const {
  const c10::InferenceMode inference;
  const Autocast off(device_, at::kFloat);
  at::Tensor x = convolved(input.to(options_.type).contiguous(at::MemoryFormat::ChannelsLast), stem_, true);
  x = fused_ && device_.is_cpu() ? max_pool_of_relu(x) : at::max_pool2d(x, 3, 2, 1);
  for (const Block& block : blocks_) {
    at::Tensor y = x;
    for (std::size_t i = 0; i + 1 < block.path.size(); ++i) y = convolved(y, block.path[i], true);
    // The block's input is not needed after it: the sum takes its memory.
    x = added(y, block.path.back(), block.shortcut ? convolved(x, *block.shortcut, false) : std::move(x));
  }
  x = fused_ && device_.is_cpu() ? mean_over_positions(x) : x.to(at::kFloat).mean({2, 3});
  return full_precision_linear(x, head_weight_, head_bias_);
}

}  // namespace vitrine
