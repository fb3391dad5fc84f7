#include "common/codec/transform/blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#define VITRINE_BLOCKS_NAME portable
#define VITRINE_BLOCKS_WIDE 0
#include "common/codec/transform/blocks_body.inc"
#include "common/codec/transform/nibbles_body.inc"
#include "common/codec/transform/trellis_body.inc"
#undef VITRINE_BLOCKS_NAME
#undef VITRINE_BLOCKS_WIDE

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VITRINE_HAS_WIDE 1
#include <immintrin.h>
// The header's undefined vectors are taken for uninitialised ones (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi2,bmi,bmi2,popcnt,lzcnt")
#define VITRINE_BLOCKS_NAME wide
#define VITRINE_BLOCKS_WIDE 1
#include "common/codec/transform/blocks_body.inc"
#include "common/codec/transform/nibbles_body.inc"
#include "common/codec/transform/trellis_body.inc"
#pragma GCC pop_options
#pragma GCC diagnostic pop
#else
#define VITRINE_HAS_WIDE 0
#endif

namespace vitrine::transform {
namespace {

#if VITRINE_HAS_WIDE
bool has_wide() {
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512dq") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0 &&
         __builtin_cpu_supports("bmi2") != 0;
}
#endif

}  // namespace

const Blocks& blocks(bool any) {
  static constexpr Blocks kPortable{portable::count_kinds, portable::split,  portable::collapse, portable::expand,
                                    portable::merge,       portable::sketch, portable::see,      portable::search,
                                    portable::settle,      portable::code,   portable::decode};
#if VITRINE_HAS_WIDE
  static constexpr Blocks kWide{wide::count_kinds, wide::split,  wide::collapse, wide::expand,
                                wide::merge,       wide::sketch, wide::see,      wide::search,
                                wide::settle,      wide::code,   wide::decode};
  static const bool is_wide = has_wide();
  if (!any && is_wide) return kWide;
#endif
  (void)any;
  return kPortable;
}

}  // namespace vitrine::transform
