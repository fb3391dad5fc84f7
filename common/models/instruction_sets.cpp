#include "common/models/instruction_sets.h"

#include <ATen/cpu/Utils.h>

namespace vitrine {

bool cpu_has(const char* instruction_set) {
  static const auto capabilities = at::cpu::get_cpu_capabilities();
  const auto found = capabilities.find(instruction_set);
  return found != capabilities.end() && found->second.isBool() && found->second.toBool();
}

}  // namespace vitrine
