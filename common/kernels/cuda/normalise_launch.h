// The CUDA body of normalise_pictures, free of torch.
#ifndef VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_
#define VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_

#include <cuda_runtime_api.h>

#include <cstdint>

namespace vitrine {

struct Colours {
  float mean[3], stddev[3];
};

/// Queues on `stream`: target[i] from source[i], whose colour is i % 3, for `count` values; both on the current device.
cudaError_t launch_normalise(const std::uint8_t* source, float* target, std::int64_t count, Colours colours,
                             cudaStream_t stream);

}  // namespace vitrine

#endif  // VITRINE_COMMON_KERNELS_CUDA_NORMALISE_LAUNCH_H_
