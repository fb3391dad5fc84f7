#include "common/codec/transform/loops.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "common/codec/target.h"
#include "common/codec/transform/context_numbers.h"

#if defined(__x86_64__)
VITRINE_BEGIN_AVX2
#define VITRINE_BODY avx2
#include "common/codec/transform/loops_body.inc"
VITRINE_END_TARGET

namespace vitrine::transform {

constinit const Loops kAvx2Loops = avx2::make_loops();

}  // namespace vitrine::transform

#endif
