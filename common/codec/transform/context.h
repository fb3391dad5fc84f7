// Context modelling: predicts a coefficient's magnitude from its usual size and the coefficients coded before it.
// Integers only, so that encoder and decoder agree on every machine. Private to this room.
//
// A group's coefficients are coded channel by channel, strongest first; within a channel the positions with even row +
// column come first, then the others; at each position all views. An item's prediction is
//   expected(item) · (Σ weight·seen + c) / (Σ weight·expected + c)
// over earlier channels at its position (weights decay by 7/8 per channel) and around it (a quarter of that), and, for
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
inline constexpr int kSeen = 15;     ///< later coefficients see larger magnitudes as this, in half steps
inline constexpr int kPlanes = 15;  ///< planes |k| > 0 … |k| > 14 of a kind (trellis.h); larger magnitudes are escapes

/// Number of low bits that a class stores raw; its kinds' planes code |k| >> low_bits.
constexpr int low_bits(int c) {
  return c >= 24 ? c / 2 - 11 : 0;
}
inline constexpr int kLastWithoutLowBits = 23;

/// Positions in coding order.
struct Slots {
  explicit Slots(std::uint32_t height, std::uint32_t width);
  std::uint32_t count, even;            ///< all; those with even row + column, which come first
  std::vector<std::uint32_t> position;  ///< [count], row-major
  std::vector<std::uint32_t> slot;      ///< [count], of each position
  /// slots above, below, left, right; `count` if there is none
  std::vector<std::array<std::uint32_t, 4>> neighbours;
};

/// The class of an item of this scale from its usual size only.
std::uint8_t usual_class(const FeatureBasis& basis, int scale, int step_sixteenths);

class Contexts {
 public:
  /// Starts a group; allocates only when it is larger than all before. `step_sixteenths`: ⌊16 log2 Δ⌋. Basis and slots
  /// must outlive the group.
  void begin(const FeatureBasis& basis, const Slots& slots, std::uint32_t views, int step_sixteenths);

  /// Required size of `seen` below: [slots + 1, views], the last row 0, and some slack.
  std::size_t seen_bytes() const { return (std::size_t{slots_->count} + 1) * views_ + 64; }

  /// Computes the classes of slots [first, last) of a channel: all even ones, or all odd ones. `seen`: of this channel,
  /// in half steps up to 2 kSeen (trellis.h); read only for odd slots, and only at even ones. `classes`: [slots,
  /// views], written for slots [first, last).
  void classify(std::uint32_t channel, std::uint32_t first, std::uint32_t last, const std::uint8_t* seen,
                std::uint8_t* classes);
  /// Updates the memory with the channel that was classified last, once it is complete.
  void learn(const std::uint8_t* seen);

 private:
  void expect(std::uint32_t channel);

  const FeatureBasis* basis_ = nullptr;
  const Slots* slots_ = nullptr;
  std::uint32_t views_ = 0;
  // For each of the basis's expectations: its value, at most kMaxExpected, and its share of a class's offset.
  struct Level {
    std::uint32_t expected;
    std::int32_t bias;
  };
  int first_scale_ = 0;  // of levels_[0]
  std::array<Level, FeatureBasis::kLevels> levels_;
  std::vector<std::uint16_t> past_;           // [slots, views], in 1/256 of a step
  std::vector<std::uint32_t> past_expected_;  // [slots], the same for expectations, in 1/16
  // Of this channel: expectations [slots + 1], at most kMaxExpected, 0 for no slot; the sums over each slot's
  // neighbours; the offsets that turn log evidence into classes.
  std::vector<std::uint32_t> expected_, around_;
  std::vector<std::int32_t> bias_;
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_CONTEXT_H_
