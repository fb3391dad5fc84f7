// libvitrine_cuda.so: CUDA implementations of the operators, and queries of the available GPUs.
#include <ATen/ATen.h>

#include <c10/cuda/CUDAException.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cstdio>

#include "common/kernels/cuda/normalise_launch.h"
#include "common/kernels/cuda_library.h"

namespace vitrine {
namespace {

at::Tensor normalise_on_cuda(const at::Tensor& pictures, c10::ArrayRef<double> mean, c10::ArrayRef<double> stddev) {
  const c10::cuda::CUDAGuard guard(pictures.device());
  at::Tensor out = at::empty({pictures.size(0), 3, pictures.size(1), pictures.size(2)},
                             pictures.options().dtype(at::kFloat), at::MemoryFormat::ChannelsLast);
  Colours colours;
  for (std::size_t i = 0; i < 3; ++i) {
    colours.mean[i] = static_cast<float>(mean[i]);
    colours.stddev[i] = static_cast<float>(stddev[i]);
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

int vitrine_cuda_version() {
  return vitrine::kCudaLibraryVersion;
}

void vitrine_cuda_probe(vitrine::CudaProbe* probe) {
  const cudaError_t status = cudaGetDeviceCount(&probe->devices);
  probe->status = status;
  probe->reason = cudaGetErrorString(status);
  if (status != cudaSuccess) probe->devices = 0;
  if (cudaDriverGetVersion(&probe->driver) != cudaSuccess) probe->driver = 0;
  if (cudaRuntimeGetVersion(&probe->runtime) != cudaSuccess) probe->runtime = 0;
  cudaGetLastError();  // clear the error, which is reported above
}

void vitrine_cuda_device(int index, vitrine::CudaDevice* device) {
  cudaDeviceProp properties{};
  cudaError_t status = cudaGetDeviceProperties(&properties, index);
  int former = 0;
  if (status == cudaSuccess) status = cudaGetDevice(&former);
  if (status == cudaSuccess) status = cudaSetDevice(index);
  if (status == cudaSuccess) {
    status = cudaFree(nullptr);  // creates the context; a busy or exclusive GPU refuses
    cudaSetDevice(former);
  }
  device->status = status;
  device->reason = cudaGetErrorString(status);
  std::snprintf(device->name, sizeof device->name, "%s", properties.name);
  device->capability = 10 * properties.major + properties.minor;
  device->memory = properties.totalGlobalMem;
  cudaGetLastError();
}
