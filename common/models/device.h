// Which device to compute on. A CPU run never loads the CUDA half of LibTorch: it is brought in only when "cuda" is
// asked for.
#ifndef VITRINE_COMMON_MODELS_DEVICE_H_
#define VITRINE_COMMON_MODELS_DEVICE_H_

#include <c10/core/Device.h>

#include <string>

#include "common/base/device_record.h"
#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/models/cuda_library.h"

namespace vitrine {

/// "cpu", "cuda" (this process's GPU: the first, or under a launcher of several processes the one of its local rank) or
/// "cuda:1". For a GPU, loads libvitrine_cuda.so (our kernels, and LibTorch's through it) from the executable's folder
/// and begins to use the GPU. Call it before anything else of torch, seeding included: what asks torch for a GPU before
/// the library is there fixes the answer "none" for the whole process. Throws Error when the name is unknown, the
/// library cannot be loaded, or there is no driver or no such GPU, or it is not free.
c10::Device select_device(const std::string& name);

/// What the last digits of results on a device depend on: which card or CPU it is, and the versions of the libraries
/// that compute there. A GPU must have been selected before. Throws Error when libvitrine_cuda.so is of another version
/// or the driver does not answer.
DeviceRecord describe_device(c10::Device device);
/// Of a device that select_device() gave: the GPU's name, capability and memory; for the CPU, capability 0.
CudaDevice selected_gpu(c10::Device device);

/// The GPU that `name` ("cuda" or "cuda:N") means where the process sees `devices` of them. "cuda" is the local rank's
/// (local_ranks.h), unless only one is visible: then launchers have given each process its own. Throws Error.
int gpu_index(const std::string& name, int devices, const Environment& environment);

/// Why no GPU can be used, and what helps; for a probe that found none, or a GPU that could not be begun with (`gpu`:
/// its name in the configuration).
Error no_gpu(const CudaProbe& probe, const Environment& environment);
Error gpu_refused(const std::string& gpu, const CudaDevice& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_DEVICE_H_
