// binary16 conversion: F16C where the processor has it, elsewhere integer arithmetic with the same bits.
#ifndef VITRINE_COMMON_CODEC_HALF_H_
#define VITRINE_COMMON_CODEC_HALF_H_

#include <cstddef>
#include <cstdint>
#include <span>

namespace vitrine {

/// Round to nearest, ties to even; too large becomes infinity, NaN stays NaN (quiet). Both spans of one length.
void to_half(std::span<const float> values, std::span<std::uint16_t> halves);
/// `halves`: two bytes each, little-endian, wherever they lie.
void from_half(std::span<const std::byte> halves, std::span<float> values);

/// One value, by integer arithmetic alone.
std::uint16_t to_half_portable(float value);
float from_half_portable(std::uint16_t half);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_HALF_H_
