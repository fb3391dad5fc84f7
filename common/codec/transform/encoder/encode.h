// Encodes a group's coefficients: search for the step that meets the bound, quantisation, bit planes, entropy coding.
// payload.h defines the format, which leaves these choices to the encoder. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"
#include "common/codec/transform/context.h"
#include "common/codec/transform/encoder/quantise.h"

namespace vitrine::transform {

/// `items`: [C, slots, views], finite; `energy`: the sum of their squares. The squared error is at most `max_error` ·
/// `energy` (step.h). `tallies`, if given, accumulates the group's statistics.
std::vector<std::uint8_t> encode_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                                       double energy, std::uint32_t views, double max_error,
                                       Tallies* tallies = nullptr);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_ENCODE_H_
