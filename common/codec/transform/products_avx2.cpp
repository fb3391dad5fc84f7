#include "common/codec/transform/loops.h"

#include <algorithm>
#include <cstring>

#include "common/codec/target.h"

#if defined(__x86_64__)
VITRINE_BEGIN_AVX2
#define VITRINE_BODY avx2
#include "common/codec/transform/products_body.inc"
VITRINE_END_TARGET

namespace vitrine::transform {

constinit const Products kAvx2Products = avx2::make_products();

}  // namespace vitrine::transform

#endif
