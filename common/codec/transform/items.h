// From coefficients as features lie, [views, C, H, W], to items as they are coded, [C, slots, views], and back; the
// transform over positions lies between. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ITEMS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ITEMS_H_

#include <cstdint>
#include <span>

#include "common/codec/transform/basis.h"
#include "common/codec/transform/context.h"
#include "common/codec/transform/payload.h"

namespace vitrine::transform {

/// values [views, C, H, W] -> vectors · (x − mean), same shape.
void to_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views,
                     std::span<float> out);
/// The inverse.
void from_coefficients(const FeatureBasis& basis, std::span<const float> coefficients, std::uint32_t views,
                       std::span<float> out);

/// coefficients [views, C, H, W] -> items [C, slots, views]. Returns their energy, the sum of their squares.
double to_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> coefficients, std::uint32_t views,
                std::span<float> items);
/// One channel's items as ItemDecoder gives them, into coefficients [views, C, H, W]. Overwrites the values.
void from_items(const FeatureBasis& basis, const ChannelItems& items, std::uint32_t channel, std::uint32_t views,
                std::span<float> coefficients);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ITEMS_H_
