// What libvitrine_cuda.so tells a program that has loaded it, in plain C: nothing here needs CUDA's headers.
#ifndef VITRINE_COMMON_MODELS_CUDA_LIBRARY_H_
#define VITRINE_COMMON_MODELS_CUDA_LIBRARY_H_

#include <cstdint>

namespace vitrine {

/// Raised when the structures or functions below change.
constexpr int kCudaLibraryVersion = 1;

/// Versions are CUDA's numbers: 1000 · major + 10 · minor.
struct CudaProbe {
  int status = 0;           ///< cudaGetDeviceCount's cudaError_t
  const char* reason = "";  ///< its words
  int devices = 0;          ///< that the process sees
  int driver = 0;           ///< the newest CUDA that the driver knows; 0: no driver
  int runtime = 0;          ///< the CUDA that this build was made with
};

struct CudaDevice {
  int status = 0;  ///< of beginning to use it, with a context: cudaError_t
  const char* reason = "";
  char name[256] = {};
  int capability = 0;        ///< 10 · major + minor: 90 for sm_90
  std::uint64_t memory = 0;  ///< bytes
};

}  // namespace vitrine

extern "C" {
/// kCudaLibraryVersion of the library.
int vitrine_cuda_version();
void vitrine_cuda_probe(vitrine::CudaProbe* probe);
void vitrine_cuda_device(int index, vitrine::CudaDevice* device);
}

#endif  // VITRINE_COMMON_MODELS_CUDA_LIBRARY_H_
