// The C interface of libvitrine_cuda.so. Independent of CUDA headers.
#ifndef VITRINE_COMMON_KERNELS_CUDA_LIBRARY_H_
#define VITRINE_COMMON_KERNELS_CUDA_LIBRARY_H_

#include <cstdint>

namespace vitrine {

/// Increment when the structures or functions below change.
constexpr int kCudaLibraryVersion = 1;

/// Versions use CUDA's encoding: 1000 · major + 10 · minor.
struct CudaProbe {
  int status = 0;           ///< cudaGetDeviceCount's cudaError_t
  const char* reason = "";  ///< the error's description
  int devices = 0;          ///< visible to the process
  int driver = 0;           ///< the newest CUDA version that the driver supports; 0: no driver
  int runtime = 0;          ///< the CUDA version of this build
};

struct CudaDevice {
  int status = 0;  ///< cudaError_t of creating a context on the device
  const char* reason = "";
  char name[256] = {};
  int capability = 0;        ///< 10 · major + minor: 90 for sm_90
  std::uint64_t memory = 0;  ///< bytes
};

}  // namespace vitrine

extern "C" {
/// The library's kCudaLibraryVersion.
int vitrine_cuda_version();
void vitrine_cuda_probe(vitrine::CudaProbe* probe);
void vitrine_cuda_device(int index, vitrine::CudaDevice* device);
}

#endif  // VITRINE_COMMON_KERNELS_CUDA_LIBRARY_H_
