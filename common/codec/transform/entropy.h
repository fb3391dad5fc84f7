// The entropy coder of the bit planes: range asymmetric numeral systems (rANS; Duda 2013, arXiv:1311.2540) over nibbles
// of independent bits with one probability. A stream's only side information is its probability level. Private to this
// room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vitrine::transform {

inline constexpr int kLevels = 61;     ///< probabilities of a one: odds 2^((level − 30) / 3)
inline constexpr int kStates = 32;     ///< interleaved coders: symbol j of a stream belongs to state j mod 32
inline constexpr int kScaleBits = 12;  ///< frequencies of the 16 nibbles sum to 4096

inline constexpr std::uint32_t kLowState = 1u << 16;  ///< states are in [2^16, 2^32)
inline constexpr std::uint32_t kSlotMask = (1u << kScaleBits) - 1;
using NibbleStates = std::array<std::uint32_t, kStates>;

/// Frequencies of the 16 nibbles at one level, with derived tables.
struct NibbleModel {
  std::array<std::uint32_t, 16> frequency, start;
  std::array<double, 16> reciprocal;  ///< 1 / frequency, rounded up: ⌊x · this⌋ = ⌊x / frequency⌋ for x < 2^32
  /// The decoding table, by the state's low bits: nibble | (slot − start) << 4 | frequency << 16.
  std::array<std::uint32_t, 1 << kScaleBits> slots;
};
const NibbleModel& nibble_model(int level);
/// The state after decoding a nibble, before renormalisation; `slot` is the state's entry of `slots`.
inline std::uint32_t advanced(std::uint32_t x, std::uint32_t slot) {
  return (slot >> 16) * (x >> kScaleBits) + (slot >> 4 & kSlotMask);
}

/// Approximate probability of a one; coding uses the integer frequencies.
double probability(int level);

/// The level that codes `bits` bits with `ones` ones most cheaply. 0 < ones ≤ bits.
int best_level(std::uint64_t ones, std::uint64_t bits);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_
