// Which instruction set the codec's bodies are compiled for that run here. All give the same bits, except for matrix
// products, which fuse multiplication and addition where the instruction set can.
#ifndef VITRINE_COMMON_CODEC_ISA_H_
#define VITRINE_COMMON_CODEC_ISA_H_

#include <string>

namespace vitrine {

/// Each includes those before it.
enum class Isa {
  kPortable,  ///< whatever the compiler takes for granted; the only one on processors other than x86-64
  kAvx2,      ///< x86-64-v3: AVX2, FMA, F16C, BMI, BMI2, LZCNT
  kAvx512,    ///< x86-64-v4: AVX-512 F, BW, VL, DQ, CD; where there is VBMI2 too, feature payloads use it
};
const char* isa_name(Isa isa);  ///< "portable", "avx2", "avx512"

/// What this processor has at most.
Isa best_isa();
/// What `name`, the value of the environment variable VITRINE_ISA, asks for; empty: the best. Throws Error for a name
/// that is unknown, and for one that this processor does not have.
Isa parse_isa(const std::string& name);
/// What runs: parse_isa() of VITRINE_ISA, read once. Throws Error as it does.
Isa isa();

/// Another one, at most the best, for as long as this lives: tests compare them. No other thread may use the codec when
/// this begins or ends.
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
