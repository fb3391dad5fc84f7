// 1×1 convolutions that stay within their memory.
//
// On processors with AVX2 and without AVX-512, oneDNN's backward pass of a 1×1 convolution
// (jit_avx2_1x1_convolution_bwd_weights, in LibTorch 2.11) writes past the gradient of the weights where 8 does not
// divide the channels, and corrupts the heap. Such layers are products of matrices here, on every CPU alike.
#ifndef VITRINE_COMMON_MODELS_CONVOLUTION_H_
#define VITRINE_COMMON_MODELS_CONVOLUTION_H_

#include <torch/nn/module.h>
#include <torch/nn/modules/conv.h>
#include <ATen/ATen.h>

#include <cstdint>

namespace vitrine {

/// x [N, C, H, W] under weight [O, C, 1, 1] and bias [O] or none: [N, O, H/stride, W/stride], rounded up.
/// Differentiable.
at::Tensor pointwise_convolution(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                                 std::int64_t stride = 1);

/// torch::nn::Conv2d, with its options and names; 1×1 kernels without padding and groups go through
/// pointwise_convolution().
class ConvolutionImpl : public torch::nn::Conv2dImpl {
 public:
  using Conv2dImpl::Conv2dImpl;

  at::Tensor forward(const at::Tensor& x);
};

TORCH_MODULE(Convolution);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_CONVOLUTION_H_
