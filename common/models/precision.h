// Compute precision by its configured name. Torch's switches for TF32, cuDNN's algorithm choice and determinism are
// global to the process.
#ifndef VITRINE_COMMON_MODELS_PRECISION_H_
#define VITRINE_COMMON_MODELS_PRECISION_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

#include "common/base/local_ranks.h"

namespace vitrine {

/// The Autocast type of "fp32", "tf32", "bf16" or "fp16"; weights stay FP32. The first two give at::kFloat.
at::ScalarType compute_type(const std::string& precision);

/// Throws Error naming `key` if a device of that capability (CudaDevice::capability; 0: the CPU) lacks the arithmetic:
/// BF16 and TF32 need 8.0 (emulation on older GPUs is slower than FP32).
void check_precision(const std::string& precision, int capability, const std::string& key);

/// Held during computation in a precision. On a GPU, "fp32" means FP32 in convolutions and matrix products (torch's
/// default is TF32 in convolutions), "tf32" means TF32 in both; bf16 and fp16 leave other arithmetic FP32. The switch
/// is global, so a holder of tf32 and a holder of another precision cannot coexist. No effect on the CPU.
class PrecisionScope {
 public:
  /// `device`: from select_device(). `key`: the configuration key for messages, "teacher.precision". Throws Error as
  /// check_precision() does, and if another holder needs the opposite setting.
  PrecisionScope(const std::string& precision, c10::Device device, const std::string& key);
  PrecisionScope(const std::string& precision, c10::Device device, const std::string& key, int capability);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

  /// The arithmetic actually used, for provenance: the precision, but "fp32" for "tf32" on the CPU.
  const std::string& arithmetic() const { return arithmetic_; }

 private:
  std::string arithmetic_;
  bool holds_;
};

/// Sets how a training run on a GPU selects algorithms; no effect for the CPU. Deterministic: only bit-reproducible
/// ones; an operation without one throws c10::Error, and a missing CUBLAS_WORKSPACE_CONFIG, which cuBLAS requires,
/// throws Error. Otherwise, if `by_trial`, the fastest by trial (cuDNN's benchmark mode); this changes bits, so do not
/// use it in a process that extracts or runs a teacher.
void choose_algorithms(bool deterministic, bool by_trial, c10::Device device, const Environment& environment);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_PRECISION_H_
