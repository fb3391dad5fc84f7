// Which processors can run code that was compiled for another machine.
#ifndef VITRINE_COMMON_MODELS_PROCESSOR_H_
#define VITRINE_COMMON_MODELS_PROCESSOR_H_

#include <string>
#include <vector>

namespace vitrine {

struct Processor {
  std::string machine;                        ///< uname's: "x86_64"
  std::string capability;                     ///< the level of LibTorch's own kernels: "DEFAULT", "AVX2", "AVX512"
  std::vector<std::string> instruction_sets;  ///< by Linux's names in /proc/cpuinfo: "avx512_bf16"

  bool operator==(const Processor&) const = default;
};

/// The processor that this runs on. ATEN_CPU_CAPABILITY lowers its capability.
Processor this_processor();

/// What code compiled for `needed` lacks on `here`, after "was compiled for": "x86_64, but this processor is aarch64".
/// Empty if it runs there.
std::string unmet_needs(const Processor& needed, const Processor& here);

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_PROCESSOR_H_
