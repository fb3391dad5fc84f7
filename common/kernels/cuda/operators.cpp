// What libvitrine_cuda.so adds to a process that loads it: CUDA bodies of the operators, and a count of the GPUs.
#include <torch/torch.h>

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cstdio>

#include "common/kernels/cuda/normalise_launch.h"

namespace vitrine {
namespace {

at::Tensor normalise_on_cuda(const at::Tensor& pictures, c10::ArrayRef<double> mean, c10::ArrayRef<double> deviation) {
  const c10::cuda::CUDAGuard guard(pictures.device());
  at::Tensor out = at::empty({pictures.size(0), 3, pictures.size(1), pictures.size(2)},
                             pictures.options().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  Colours colours;
  for (std::size_t i = 0; i < 3; ++i) {
    colours.mean[i] = static_cast<float>(mean[i]);
    colours.deviation[i] = static_cast<float>(deviation[i]);
  }
  C10_CUDA_CHECK(launch_normalise(pictures.const_data_ptr<std::uint8_t>(), out.data_ptr<float>(), pictures.numel(),
                                  colours, c10::cuda::getCurrentCUDAStream()));
  return out;
}

}  // namespace

TORCH_LIBRARY_IMPL(vitrine, CUDA, m) {
  m.impl("normalise_pictures", normalise_on_cuda);
}

}  // namespace vitrine

/// The number of GPUs, or 0 and the reason.
extern "C" int vitrine_cuda_devices(const char** reason) {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) count = 0;
  *reason = status == cudaSuccess ? "the driver finds no GPU" : cudaGetErrorString(status);
  return count;
}

/// Of GPU `index`: its name, into `name` of `size` bytes with a zero at the end, and `numbers`: compute capability (major,
/// minor) and the version of CUDA's runtime as CUDA counts it. Returns 0, or 1 and the reason.
extern "C" int vitrine_cuda_describe(int index, char* name, std::size_t size, int* numbers, const char** reason) {
  cudaDeviceProp properties;
  cudaError_t status = cudaGetDeviceProperties(&properties, index);
  if (status == cudaSuccess) status = cudaRuntimeGetVersion(&numbers[2]);
  if (status != cudaSuccess) {
    *reason = cudaGetErrorString(status);
    return 1;
  }
  std::snprintf(name, size, "%s", properties.name);
  numbers[0] = properties.major;
  numbers[1] = properties.minor;
  return 0;
}
