// Which device to compute on. A CPU run never loads the CUDA half of LibTorch: it is brought in only when "cuda" is
// asked for.
#ifndef VITRINE_COMMON_MODELS_DEVICE_H_
#define VITRINE_COMMON_MODELS_DEVICE_H_

#include <c10/core/Device.h>

#include <string>

#include "common/base/device_record.h"

namespace vitrine {

/// "cpu", "cuda" (the first GPU) or "cuda:1". For a GPU, loads libvitrine_cuda.so (our kernels, and LibTorch's through
/// it) from the executable's folder. Call it before anything else of torch, seeding included: what asks torch for a GPU
/// before the library is there fixes the answer "none" for the whole process. Throws Error when the name is unknown,
/// the library cannot be loaded, or there is no driver or no such GPU.
c10::Device select_device(const std::string& name);

/// What the last digits of results on a device depend on: which card or CPU it is, and the versions of the libraries
/// that compute there. A GPU must have been selected before. Throws Error when libvitrine_cuda.so is of another version
/// or the driver does not answer.
DeviceRecord describe_device(c10::Device device);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_DEVICE_H_
