// How likely a coefficient is to be large, told from what both sides know already: its usual size, and the magnitudes
// of coefficients coded before it. Integers only, so that encoder and decoder agree on every machine. Private to this
// room.
//
// A group's coefficients are coded channel by channel, strongest first; in a channel first the positions where row +
// column is even, then the others; at each position all views. An item's prediction is
//   expected(item) · (Σ weight·seen + c) / (Σ weight·expected + c)
// over earlier channels at its position (weights falling by 7/8 a channel) and around it (a quarter of that), and, for
// odd positions, over the even neighbours in its own channel; c is the basis's confidence. Its class is the
// prediction's logarithm in half octaves.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/codec/transform/basis.h"

namespace vitrine::transform {

inline constexpr int kClasses = 32;  ///< class c: predictions from 2^(c/2 − 10) to 2^((c+1)/2 − 10)
inline constexpr int kSeen = 15;     ///< magnitudes above this look like it to later coefficients, which see half steps
inline constexpr int kPlanes = 15;   ///< planes |k| > 0 … |k| > 14 of a kind (trellis.h); what is larger is an escape

/// Low bits that a class sends as they are; its kinds' planes are those of |k| >> low_bits.
constexpr int low_bits(int c) {
  return c >= 24 ? c / 2 - 11 : 0;
}
inline constexpr int kLastWithoutLowBits = 23;

/// Positions in the order of coding.
struct Slots {
  explicit Slots(std::uint32_t height, std::uint32_t width);
  std::uint32_t count, even;            ///< all; those of the first phase
  std::vector<std::uint32_t> position;  ///< [count], row-major
  std::vector<std::uint32_t> slot;      ///< [count], of each position
  /// slots above, below, left, right; `count` where there is none
  std::vector<std::array<std::uint32_t, 4>> neighbours;
};

/// The class of an item of this scale before anything is known of its group.
std::uint8_t usual_class(const FeatureBasis& basis, int scale, int step_sixteenths);

class Contexts {
 public:
  /// For a group; allocates only when it is larger than all before. `step_sixteenths`: round-down of 16 log2 Δ. Basis
  /// and slots must outlive the group.
  void begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths);

  /// What `seen` below must have room for: [slots + 1, views], the last row 0, and some slack.
  std::size_t seen_bytes() const { return (std::size_t{slots_->count} + 1) * views_ + 64; }

  /// Classes of the items of slots [first, last) of a channel: all even ones, or all odd ones. `seen`: of this channel,
  /// in half steps up to 2 kSeen (trellis.h); only even slots are looked at, and only for odd ones. `classes`: [slots,
  /// views], written for the slots asked for.
  void classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                std::uint8_t* classes);
  /// The channel that was classified last is known wholly.
  void learn(const std::uint8_t* seen);

 private:
  void expect(std::uint32_t channel);

  const FeatureBasis* basis_ = nullptr;
  const Slots* slots_ = nullptr;
  std::uint32_t views_ = 0;
  // For each of the basis's expectations: at most kMaxExpected; its part of a class's offset.
  struct Level {
    std::uint32_t expected;
    std::int32_t bias;
  };
  int first_scale_ = 0;  // of levels_
  std::array<Level, FeatureBasis::kLevels> levels_;
  std::vector<std::uint16_t> past_;           // [slots, views], a step counts 256
  std::vector<std::uint32_t> past_expected_;  // [slots], the same of expectations, in 1/16
  // Of this channel: expectations, at most kMaxExpected, 0 for no slot [slots + 1]; of a slot's neighbours together;
  // what makes a class of a sum of evidence.
  std::vector<std::uint32_t> expected_, around_;
  std::vector<std::int32_t> bias_;
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_H_
