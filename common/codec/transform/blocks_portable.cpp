#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "common/codec/transform/blocks.h"

#define VITRINE_BLOCKS_NAME portable
#define VITRINE_BLOCKS_WIDE 0
#include "common/codec/transform/blocks_body.inc"
#include "common/codec/transform/nibbles_body.inc"
#include "common/codec/transform/trellis_body.inc"

namespace vitrine::transform {

constinit const Blocks kPortableBlocks = portable::make_blocks();

}  // namespace vitrine::transform
