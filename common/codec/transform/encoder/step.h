// The encoder's search for a group's step: the largest at which the bound holds, or one that comes close to it. Private
// to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_

#include <cstdint>
#include <span>

#include "common/codec/transform/encoder/quantise.h"

namespace vitrine::transform {

/// Quantises `items` [C, slots, views], `energy` being the sum of their squares, so that the squared error is at most
/// `max_error` of it, and 0.3 % of that below it at most where a group is not too small for it; steps are 2^(j/1024).
/// `quantiser` has begun with the same. The result lasts until the next call in this thread. Throws Error where no step
/// does it.
Quantised& quantise_to(double max_error, const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                       double energy, std::uint32_t views, Quantiser& quantiser);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_
