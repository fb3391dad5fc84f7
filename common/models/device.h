// Device selection. The CUDA half of LibTorch is loaded only when "cuda" is requested, never on a CPU run.
#ifndef VITRINE_COMMON_MODELS_DEVICE_H_
#define VITRINE_COMMON_MODELS_DEVICE_H_

#include <c10/core/Device.h>

#include <string>

#include "common/base/device_record.h"
#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/kernels/cuda_library.h"

namespace vitrine {

/// `name`: "cpu", "cuda" (the first GPU, or under a launcher the one of this process's local rank) or "cuda:1". For a
/// GPU, loads libvitrine_cuda.so (Vitrine's kernels and, through it, LibTorch's) from the executable's folder and
/// creates a context. Call this before any other use of torch, including seeding: if torch looks for a GPU before the
/// library is loaded, it reports none for the rest of the process. Throws Error if the name is unknown, the library
/// cannot be loaded, there is no driver or no such GPU, or the GPU is not available.
c10::Device select_device(const std::string& name);

/// The device and library versions on which the last digits of results depend. A GPU must have been selected before.
/// Throws Error if libvitrine_cuda.so has another version or the driver does not respond.
DeviceRecord describe_device(c10::Device device);
/// Name, capability and memory of a GPU from select_device(); capability 0 for the CPU.
CudaDevice selected_gpu(c10::Device device);

/// The index of the GPU that `name` ("cuda" or "cuda:N") refers to when `devices` are visible. "cuda" is the local
/// rank's (local_ranks.h), or the only visible one if the launcher has assigned each process its own. Throws Error.
int gpu_index(const std::string& name, int devices, const Environment& environment);

/// Why no GPU can be used, and how to fix it: for a probe that found none, and for a GPU on which no context could be
/// created (`gpu`: its name in the configuration).
Error no_gpu(const CudaProbe& probe, const Environment& environment);
Error gpu_refused(const std::string& gpu, const CudaDevice& device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_DEVICE_H_
