// Coefficients in the layout of features, [views, C, H, W], to items in coding order, [C, slots, views], and back,
// including the transform over positions. Private to this room.
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

/// coefficients [views, C, H, W] -> items [C, slots, views]. Returns the sum of their squares.
double to_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> coefficients, std::uint32_t views,
                std::span<float> items);
/// Writes one channel of ItemDecoder's items into coefficients [views, C, H, W]. Overwrites items.values.
void from_items(const FeatureBasis& basis, const ChannelItems& items, std::uint32_t channel, std::uint32_t views,
                std::span<float> coefficients);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ITEMS_H_
