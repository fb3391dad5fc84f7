// The CUDA kernel of normalise_pictures, independent of torch.
#ifndef VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_
#define VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace vitrine {

struct Colours {
  float mean[3], stddev[3];
};

/// Enqueues on `stream`: target[i] from source[i], of channel i % 3, for i < count. Both pointers are on the current
/// device.
cudaError_t launch_normalise(const std::uint8_t* source, float* target, std::int64_t count, Colours colours,
                             cudaStream_t stream);

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_
