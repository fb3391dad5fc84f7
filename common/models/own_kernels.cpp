#include "common/models/own_kernels.h"

#include <ATen/ATen.h>

#include <ATen/Version.h>

#include "common/codec/isa.h"
#include "common/models/instruction_sets.h"

namespace vitrine {

bool has_avx512_kernels() {
  static const bool has = at::get_cpu_capability() == "AVX512" && best_isa() == Isa::kAvx512;
  return has;
}

bool has_bf16_kernels() {
  static const bool has = has_avx512_kernels() && cpu_has("avx512_bf16") && !cpu_has("amx_bf16");
  return has;
}

}  // namespace vitrine
