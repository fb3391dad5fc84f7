// The poolings of a ResNet, for inference on a CPU.
#ifndef VITRINE_COMMON_KERNELS_POOLING_H_
#define VITRINE_COMMON_KERNELS_POOLING_H_

#include <ATen/core/Tensor.h>

namespace vitrine {

/// 3×3 max-pooling with stride 2 and padding 1 of values that are not negative, as after a ReLU. ATen's also makes the
/// indices of the maxima, which take more memory traffic than the pooling itself. x: [N, C, H, W] on the CPU, FP32,
/// BF16 or FP16, in channels-last memory. Returns channels-last [N, C, (H + 1) / 2, (W + 1) / 2] of the same type. Uses
/// at::parallel_for. Throws c10::Error for another x.
at::Tensor max_pool_of_relu(const at::Tensor& x);

/// The mean over positions, in FP32. x: as above, of any sign. Returns [N, C], FP32.
at::Tensor mean_over_positions(const at::Tensor& x);

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_POOLING_H_
