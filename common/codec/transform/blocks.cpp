#include "common/codec/transform/blocks.h"

#include "common/codec/isa.h"

namespace vitrine::transform {

const Blocks& blocks(bool portable) {
#if defined(__x86_64__)
  static const bool has_vbmi2 = __builtin_cpu_supports("avx512vbmi2") != 0;
  if (!portable && isa() == Isa::kAvx512 && has_vbmi2) return kAvx512Blocks;
#endif
  (void)portable;
  return kPortableBlocks;
}

}  // namespace vitrine::transform
