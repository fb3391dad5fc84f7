// Dependent quantisation (Schwarz, Nguyen, Marpe & Wiegand, "Hybrid video coding with trellis-coded quantization", Data
// Compression Conference 2019; trellis-coded quantisation is Marcellin & Fischer's, IEEE Trans. Comm. 38, 1990). Levels
// come from two quantisers, and an item's quantiser depends on the parities of the magnitudes before it: at the same
// rate the reachable levels are denser, as the encoder chooses a whole path. Private to this room.
//
// In steps, the first quantiser has the levels k, the second 5/8 for k = 1 and k − 1/2 above; both have 0. 64 trellises
// run in parallel through a group: item i of each half channel belongs to trellis i mod 64.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_TRELLIS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_TRELLIS_H_

#include <array>
#include <cstdint>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// The states of all trellises, 0 to 7: bit i of bit[b] is bit b of trellis i's state. The lowest bit selects the
/// second quantiser. The initial state is 0.
struct TrellisStates {
  std::array<std::uint64_t, 3> bit{};

  std::uint64_t second() const { return bit[0]; }
  /// Advances the trellises whose bit in `active` is set by one item; `odd` has the parities of the magnitudes.
  constexpr void advance(std::uint64_t odd, std::uint64_t active) {
    const auto [a, b, c] = bit;
    const std::uint64_t next[3] = {(a & ~(b ^ c)) | (~a & b), odd ^ ((a & b) | (~a & c)), a};
    for (std::size_t i = 0; i < 3; ++i) bit[i] = (next[i] & active) | (bit[i] & ~active);
  }
};
/// The same as a table, by state and parity.
inline constexpr std::uint8_t kNextState[8][2] = {{0, 2}, {5, 7}, {1, 3}, {6, 4}, {2, 0}, {4, 6}, {3, 1}, {7, 5}};
static_assert([] {
  for (std::uint64_t state = 0; state < 8; ++state)
    for (std::uint64_t odd = 0; odd < 2; ++odd) {
      TrellisStates one{{state & 1, state >> 1 & 1, state >> 2}};
      one.advance(odd, 1);
      if ((one.bit[0] | one.bit[1] << 1 | one.bit[2] << 2) != kNextState[state][odd]) return false;
    }
  return true;
}());

// A kind is a set of items that share probabilities: a class, but some classes are split by quantiser. Where nearly all
// items are zero, or hardly any, the two quantisers have the same statistics.
inline constexpr int kFirstSplit = 12, kSplit = 8;
inline constexpr int kKinds = kClasses + kSplit;
inline constexpr std::uint64_t kSplitClasses = ((std::uint64_t{1} << kSplit) - 1) << kFirstSplit;
constexpr bool is_split(int cls) {
  return cls >= kFirstSplit && cls < kFirstSplit + kSplit;
}
constexpr int kind_of(int cls, bool second) {
  return second && is_split(cls) ? cls - kFirstSplit + kClasses : cls;
}
constexpr int class_of_kind(int kind) {
  return kind < kClasses ? kind : kind - kClasses + kFirstSplit;
}

/// The level of a magnitude, in eighths of a step.
constexpr std::int32_t level_eighths(std::int32_t k, bool second) {
  return 8 * k - (second && k > 0 ? (k == 1 ? 3 : 4) : 0);
}
/// What contexts see of a magnitude: approximate half steps.
constexpr std::uint8_t seen_of(std::int32_t k, bool second) {
  return static_cast<std::uint8_t>(2 * (k < kSeen ? k : kSeen) - (second && k > 0 ? 1 : 0));
}

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_TRELLIS_H_
