#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "common/codec/target.h"
#include "common/codec/transform/blocks.h"

#if defined(__x86_64__)
#include <immintrin.h>
#if !defined(__clang__)  // false positives in the intrinsics header (GCC bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

VITRINE_BEGIN_AVX512_VBMI2
#define VITRINE_BLOCKS_NAME avx512
#define VITRINE_BLOCKS_WIDE 1
#include "common/codec/transform/blocks_body.inc"
#include "common/codec/transform/nibbles_body.inc"
#include "common/codec/transform/trellis_body.inc"
VITRINE_END_TARGET

namespace vitrine::transform {

constinit const Blocks kAvx512Blocks = avx512::make_blocks();

}  // namespace vitrine::transform

#endif
