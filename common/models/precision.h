// Arithmetic by its configured name, and what it means for a process: torch's switches for TF32, for cuDNN's choice of
// algorithms and for determinism are global.
#ifndef VITRINE_COMMON_MODELS_PRECISION_H_
#define VITRINE_COMMON_MODELS_PRECISION_H_

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <string>

#include "common/base/local_ranks.h"

namespace vitrine {

/// "fp32", "tf32", "bf16" or "fp16" as the type for an Autocast; weights stay FP32. The first two are at::kFloat.
at::ScalarType compute_type(const std::string& precision);

/// Throws Error, which names `key`, where a device of that capability (CudaDevice::capability; 0: the CPU) has no such
/// arithmetic: BF16 begins with 8.0, and what emulates it on older GPUs is slower than FP32.
void check_precision(const std::string& precision, int capability, const std::string& key);

/// Who computes in a precision holds one of these. On a GPU "fp32" means FP32, in convolutions and products alike
/// (torch's default is TF32 in convolutions), "tf32" means TF32 in both; bf16 and fp16 leave the rest of the arithmetic
/// FP32. As the switch is the process's, holders of tf32 and of something else cannot be there at once. On the CPU
/// nothing is switched.
class PrecisionScope {
 public:
  /// `device`: select_device()'s. `key`: the configuration's, for messages: "teacher.precision". Throws Error as
  /// check_precision() does, and when another holder needs the switch otherwise.
  PrecisionScope(const std::string& precision, c10::Device device, const std::string& key);
  PrecisionScope(const std::string& precision, c10::Device device, const std::string& key, int capability);
  ~PrecisionScope();
  PrecisionScope(const PrecisionScope&) = delete;
  PrecisionScope& operator=(const PrecisionScope&) = delete;

  /// What the arithmetic really is, for provenance: the precision, but "fp32" for "tf32" on the CPU, which has none.
  const std::string& arithmetic() const { return arithmetic_; }

 private:
  std::string arithmetic_;
  bool holds_;
};

/// How a training on a GPU chooses among algorithms; does nothing for the CPU. Deterministic: those that give equal
/// bits each time; an operation without one throws c10::Error. cuBLAS needs CUBLAS_WORKSPACE_CONFIG for it, which is
/// checked: throws Error. Otherwise the fastest by trial (cuDNN's benchmark) where `by_trial`, which moves bits: not
/// for a process that extracts or runs a teacher.
void choose_algorithms(bool deterministic, bool by_trial, c10::Device device, const Environment& environment);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_PRECISION_H_
