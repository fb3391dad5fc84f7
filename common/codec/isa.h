// Run-time choice of the instruction set. All implementations give the same bits, except for matrix products, which use
// fused multiply-add where the instruction set has it.
#ifndef VITRINE_COMMON_CODEC_ISA_H_
#define VITRINE_COMMON_CODEC_ISA_H_

#include <string>

namespace vitrine {

/// Each includes its predecessors.
enum class Isa {
  kPortable,  ///< the compiler's baseline; the only one on processors other than x86-64
  kAvx2,      ///< x86-64-v3: AVX2, FMA, F16C, BMI, BMI2, LZCNT
  kAvx512,    ///< x86-64-v4: AVX-512 F, BW, VL, DQ, CD; feature payloads also use VBMI2 if present
};
const char* isa_name(Isa isa);  ///< "portable", "avx2", "avx512"

/// The best that this processor supports.
Isa best_isa();
/// Parses `name`, the value of the environment variable VITRINE_ISA; empty means best_isa(). Throws Error for an
/// unknown name and for one that this processor does not support.
Isa parse_isa(const std::string& name);
/// The instruction set in use: parse_isa() of VITRINE_ISA, read once. Throws Error as parse_isa() does.
Isa isa();

/// Overrides isa() during its lifetime, with at most best_isa(); for tests. No other thread may use the codec during
/// construction or destruction.
class IsaOverride {
 public:
  explicit IsaOverride(Isa isa);
  ~IsaOverride();
  IsaOverride(const IsaOverride&) = delete;
  IsaOverride& operator=(const IsaOverride&) = delete;

 private:
  int before_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_ISA_H_
