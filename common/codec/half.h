// binary16 conversion: F16C where available, else integer arithmetic with identical results.
#ifndef VITRINE_COMMON_CODEC_HALF_H_
#define VITRINE_COMMON_CODEC_HALF_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrine {

/// Rounds to nearest, ties to even; overflow gives infinity, NaN a quiet NaN. Both spans have the same length.
void to_half(std::span<const float> values, std::span<std::uint16_t> halves);
/// `halves`: two bytes each, little-endian, any alignment.
void from_half(std::span<const std::byte> halves, std::span<float> values);

/// One value, with integer arithmetic only.
std::uint16_t to_half_portable(float value);
float from_half_portable(std::uint16_t half);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_HALF_H_
