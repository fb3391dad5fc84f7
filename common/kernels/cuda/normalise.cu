#include <algorithm>

#include "common/kernels/cuda/normalise_launch.h"
#include "common/kernels/normalise_element.h"

namespace vitrine {
namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kMaxBlocks = 1 << 16;

__global__ void normalise(const std::uint8_t* source, float* target, std::int64_t count, Colours colours) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < count; i += step) {
    const int colour = static_cast<int>(i % 3);
    target[i] = normalise_element(source[i], colours.mean[colour], colours.stddev[colour]);
  }
}

}  // namespace

cudaError_t launch_normalise(const std::uint8_t* source, float* target, std::int64_t count, Colours colours,
                             cudaStream_t stream) {
  if (count == 0) return cudaSuccess;
  const auto blocks = static_cast<unsigned>(std::min((count + kThreads - 1) / kThreads, kMaxBlocks));
  normalise<<<blocks, kThreads, 0, stream>>>(source, target, count, colours);
  return cudaGetLastError();
}

}  // namespace vitrine
