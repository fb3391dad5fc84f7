// The numbers of contexts (context.h), shared with the loops that are compiled for several instruction sets. Private to
// this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_NUMBERS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_NUMBERS_H_

#include <bit>
#include <cstdint>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

inline constexpr std::uint32_t kOne = 256;  // what a step counts in the memory of what was seen; half steps are seen
inline constexpr std::uint32_t kNear = 1;   // weight of a neighbour in the own channel
inline constexpr std::uint32_t kMaxExpected = 10 * 1024;
static_assert(16 * kNear * kOne % 1024 == 0);  // what a neighbour's expectation, in 1/1024, counts as evidence

// Both memories keep 7/8 of themselves and gain at most g a channel: p ≤ 8 g gives p − p / 8 + g ≤ 8 g.
inline constexpr std::uint32_t kMaxAround = 8 * 2 * kSeen;  // four times the own magnitude, and the four around
inline constexpr std::uint32_t kMaxPast = 8 * (kOne / 8) * kMaxAround;
inline constexpr std::uint32_t kMaxPastExpected = 8 * 8 * kMaxExpected;
inline constexpr std::uint32_t kMaxConfidence = 65535;
static_assert(kMaxAround < 256, "a byte holds what is seen around");
static_assert(kMaxPast < 65536, "16 bits hold the memory of what was seen");
// Logarithms are read off floats, which hold whole numbers exactly below this and round those beyond.
inline constexpr std::uint32_t kExact = 1u << 24;
static_assert(kMaxPast + kMaxConfidence + kNear * kOne / 2 * 4 * 2 * kSeen < kExact);
static_assert(kMaxPastExpected + 16 * kMaxConfidence + 16 * kNear * kOne / 1024 * 4 * kMaxExpected < kExact);

inline constexpr std::int32_t kExponentOffset = 127 * 8;  // of a float, as log8 takes it off

/// 8 log2 n, the last three bits linear between powers of two; 0 < n < kExact. Exact: a float that needs no rounding is
/// the same on every machine.
constexpr int log8(std::uint32_t n) {
  return (std::bit_cast<std::int32_t>(static_cast<float>(static_cast<std::int32_t>(n))) >> 20) - kExponentOffset;
}
/// The same as FORMAT.md has it, without a float, for any n > 0.
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
