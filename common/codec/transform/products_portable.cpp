#include "common/codec/transform/loops.h"

#include <algorithm>
#include <cstring>

#include "common/codec/target.h"

#define VITRINE_BODY portable
#include "common/codec/transform/products_body.inc"

namespace vitrine::transform {

constinit const Products kPortableProducts = portable::make_products();

}  // namespace vitrine::transform
