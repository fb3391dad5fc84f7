// Searches for a group's step: the largest, or nearly the largest, that meets the error bound. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_

#include <cstdint>
#include <span>

#include "common/codec/transform/encoder/quantise.h"

namespace vitrine::transform {

/// Quantises `items` [C, slots, views] such that the squared error is at most `max_error` · `energy`, and, unless the
/// group is too small, at most 0.3 % below it; `energy` is the sum of the items' squares. Steps are 2^(j/1024).
/// `quantiser` must have begun with the same items. The result is valid until the next call in this thread. Throws
/// Error if no step meets the bound.
Quantised& quantise_to(double max_error, const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                       double energy, std::uint32_t views, Quantiser& quantiser);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_STEP_H_
