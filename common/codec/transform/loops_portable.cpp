#include "common/codec/transform/loops.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "common/codec/target.h"
#include "common/codec/transform/context_numbers.h"

#define VITRINE_BODY portable
#include "common/codec/transform/loops_body.inc"

namespace vitrine::transform {

constinit const Loops kPortableLoops = portable::make_loops();

}  // namespace vitrine::transform
