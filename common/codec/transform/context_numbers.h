// Constants of context modelling (context.h), shared with the loops that are compiled for several instruction sets.
// Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_NUMBERS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_NUMBERS_H_

#include <bit>
#include <cstdint>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

// One step in the memory of seen magnitudes, which are in half steps.
inline constexpr std::uint32_t kStepInMemory = 256;
inline constexpr std::uint32_t kNeighbourWeight = 1;  // of a neighbour in the same channel
inline constexpr std::uint32_t kMaxExpected = 10 * 1024;
static_assert(16 * kNeighbourWeight * kStepInMemory % 1024 == 0);  // a neighbour's expectation, in 1/1024, as evidence

// Per channel, both memories keep 7/8 of their value and gain at most g: p ≤ 8 g implies p − p / 8 + g ≤ 8 g.
inline constexpr std::uint32_t kMaxAround = 8 * 2 * kSeen;  // four times the item's magnitude, plus its four neighbours
inline constexpr std::uint32_t kMaxPast = 8 * (kStepInMemory / 8) * kMaxAround;
inline constexpr std::uint32_t kMaxPastExpected = 8 * 8 * kMaxExpected;
inline constexpr std::uint32_t kMaxConfidence = 65535;
static_assert(kMaxAround < 256, "a byte holds the sum of seen magnitudes");
static_assert(kMaxPast < 65536, "16 bits hold the memory of seen magnitudes");
// Logarithms are read off the bits of floats, which represent integers exactly below this.
inline constexpr std::uint32_t kExact = 1u << 24;
static_assert(kMaxPast + kMaxConfidence + kNeighbourWeight * kStepInMemory / 2 * 4 * 2 * kSeen < kExact);
static_assert(kMaxPastExpected + 16 * kMaxConfidence + 16 * kNeighbourWeight * kStepInMemory / 1024 * 4 * kMaxExpected <
              kExact);

inline constexpr std::int32_t kExponentOffset = 127 * 8;  // a float's exponent bias, in eighths

/// 8 log2 n, linear between powers of two; 0 < n < kExact. The same on every machine, since the conversion to float
/// needs no rounding.
constexpr int log8(std::uint32_t n) {
  return (std::bit_cast<std::int32_t>(static_cast<float>(static_cast<std::int32_t>(n))) >> 20) - kExponentOffset;
}
/// The same as FORMAT.md defines it, without floats, for any n > 0.
constexpr int log8_by_bits(std::uint32_t n) {
  const int e = std::bit_width(n) - 1;
  return static_cast<int>((std::uint64_t{n} << 3) >> e) - 8 + 8 * e;
}
static_assert([] {
  for (std::uint32_t n = 1; n <= 64; ++n)
    if (log8(n) != log8_by_bits(n)) return false;
  return log8(kExact - 1) == log8_by_bits(kExact - 1) && log8(65535) == log8_by_bits(65535);
}());

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_NUMBERS_H_
