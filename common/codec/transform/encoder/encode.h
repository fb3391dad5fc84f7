// A group's coefficients to bytes: the step that keeps the bound, quantisation, bit planes, entropy coding. What the
// encoder chooses is its own affair; payload.h is what it may write. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"
#include "common/codec/transform/context.h"
#include "common/codec/transform/encoder/quantise.h"

namespace vitrine::transform {

/// `items`: [C, slots, views], finite, and the sum of their squares. The squared error is at most `max_error` of
/// `energy` (step.h). `tallies`, where given, learns from the group.
std::vector<std::uint8_t> encode_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                                       double energy, std::uint32_t views, double max_error,
                                       Tallies* tallies = nullptr);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_
