#include "common/codec/transform/blocks.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#define VITRINE_BLOCKS_NAME portable
#define VITRINE_BLOCKS_WIDE 0
#include "common/codec/transform/blocks_body.inc"
#undef VITRINE_BLOCKS_NAME
#undef VITRINE_BLOCKS_WIDE

#if defined(__x86_64__) && defined(__GNUC__)
#define VITRINE_HAS_WIDE 1
#include <immintrin.h>
// The header's undefined vectors are taken for uninitialised ones (GCC bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi2,bmi,bmi2,popcnt,lzcnt")
#define VITRINE_BLOCKS_NAME wide
#define VITRINE_BLOCKS_WIDE 1
#include "common/codec/transform/blocks_body.inc"
#pragma GCC pop_options
#pragma GCC diagnostic pop
#else
#define VITRINE_HAS_WIDE 0
#endif

namespace vitrine::transform {
namespace {

bool has_wide() {
#if VITRINE_HAS_WIDE
  return __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
         __builtin_cpu_supports("avx512vbmi2") != 0 && __builtin_cpu_supports("bmi2") != 0;
#else
  return false;
#endif
}

}  // namespace

SplitFunction split_function(bool any) {
#if VITRINE_HAS_WIDE
  if (!any && has_wide()) return wide::split;
#endif
  (void)any;
  return portable::split;
}

CollapseFunction collapse_function(bool any) {
#if VITRINE_HAS_WIDE
  if (!any && has_wide()) return wide::collapse;
#endif
  (void)any;
  return portable::collapse;
}

ExpandFunction expand_function(bool any) {
#if VITRINE_HAS_WIDE
  if (!any && has_wide()) return wide::expand;
#endif
  (void)any;
  return portable::expand;
}

MergeFunction merge_function(bool any) {
#if VITRINE_HAS_WIDE
  if (!any && has_wide()) return wide::merge;
#endif
  (void)any;
  return portable::merge;
}

QuantiseFunction quantise_function(bool any) {
#if VITRINE_HAS_WIDE
  if (!any && has_wide()) return wide::quantise;
#endif
  (void)any;
  return portable::quantise;
}

}  // namespace vitrine::transform
