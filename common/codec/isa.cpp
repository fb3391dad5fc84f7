#include "common/codec/isa.h"

#include <atomic>
#include <cstdlib>

#include "common/base/error.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace vitrine {
namespace {

constexpr Isa kAllIsas[] = {Isa::kPortable, Isa::kAvx2, Isa::kAvx512};
constexpr int kUnset = -1;
std::atomic<int> overridden{kUnset};

#if defined(__x86_64__)
// Not all compilers support these in __builtin_cpu_supports.
bool has_f16c_and_lzcnt() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_F16C) == 0) return false;
  return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
}
bool has_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
         __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt") && has_f16c_and_lzcnt();
}
bool has_avx512() {
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512cd");
}
#endif

}  // namespace

const char* isa_name(Isa isa) {
  return isa == Isa::kPortable ? "portable" : isa == Isa::kAvx2 ? "avx2" : "avx512";
}

Isa best_isa() {
#if defined(__x86_64__)
  static const Isa best = !has_avx2() ? Isa::kPortable : has_avx512() ? Isa::kAvx512 : Isa::kAvx2;
  return best;
#else
  return Isa::kPortable;
#endif
}

Isa parse_isa(const std::string& name) {
  if (name.empty()) return best_isa();
  for (const Isa isa : kAllIsas) {
    if (name != isa_name(isa)) continue;
    if (isa > best_isa())
      fail("VITRINE_ISA = ", name, " is not available: this processor supports at most ", isa_name(best_isa()),
           "; set that, or leave VITRINE_ISA unset");
    return isa;
  }
  fail("VITRINE_ISA = ", name, " is unknown; expected portable, avx2 or avx512");
}

Isa isa() {
  if (const int now = overridden.load(std::memory_order_relaxed); now != kUnset) return static_cast<Isa>(now);
  static const Isa chosen = [] {
    const char* name = std::getenv("VITRINE_ISA");
    return parse_isa(name == nullptr ? "" : name);
  }();
  return chosen;
}

IsaOverride::IsaOverride(Isa isa) : before_(overridden.exchange(static_cast<int>(isa))) {}

IsaOverride::~IsaOverride() {
  overridden.store(before_);
}

}  // namespace vitrine
