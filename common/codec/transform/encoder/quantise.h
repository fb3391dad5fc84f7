// Rate-distortion optimised quantisation: chooses the levels that minimise squared error plus λ · bits along whole
// paths through the trellises (trellis.h). Encoder only. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_QUANTISE_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_QUANTISE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/base/buffer.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// A group quantised with one step. `second` and `negative` have one bit per item; each half channel begins a new word.
struct Quantised {
  std::span<std::uint16_t> magnitude;
  std::span<std::uint8_t> classes;              ///< from Contexts. Both [C, slots, views] plus 64
  std::vector<std::uint64_t> second, negative;  ///< item uses the second quantiser; item is negative
  double error = 0;                             ///< sum of squares, in the items' unit
  float step = 0;
  Buffer magnitudes, class_bytes;  ///< memory of the spans
};

/// Estimated bits per magnitude and class, from the basis's levels.
class ClassBits {
 public:
  ClassBits() = default;
  explicit ClassBits(const FeatureBasis& basis);
  /// `lambda`: in squared steps per bit.
  TrellisCosts costs(double lambda) const;

 private:
  std::array<double, kClasses> first_{}, second_{}, zero_{}, each_{};  // as in TrellisCosts
};

/// Half a channel of a group: items [begin, end), and its first word. May be empty.
struct Half {
  std::uint32_t channel, first_slot, last_slot;
  bool ends_channel;
  std::size_t begin, end, first_word;
};

/// Quantises a group at several steps. Reusable: allocates only for larger groups.
class Quantiser {
 public:
  /// `items`: [C, slots, views]. All arguments must outlive the group.
  void begin(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views);
  /// Quantises the whole group. Classes are approximate until finish().
  void quantise(float step, Quantised& out);
  /// Requantises one of the kTrellisGroups groups of trellises with λ multiplied by `lambda_scale`, to adjust the error
  /// at a fixed step. `out` must be the result of the last quantise().
  void requantise(std::size_t group, double lambda_scale, Quantised& out);
  /// Error of a group of trellises, in the items' unit.
  double error_of(std::size_t group) const { return errors_[group]; }
  /// Sets the exact classes, as a decoder finds them. Returns how often each kind occurs.
  std::array<std::uint64_t, kKinds> finish(Quantised& out);

  std::span<const Half> halves() const { return halves_; }

 private:
  void classify(const Half& half, Quantised& out);  // requires its neighbours and all channels before

  const FeatureBasis* basis_ = nullptr;
  const Slots* slots_ = nullptr;
  std::span<const float> items_;
  std::uint32_t views_ = 0;
  ClassBits bits_;
  std::vector<Half> halves_;
  std::vector<TrellisStep> trellis_;  // of all halves
  std::vector<TrellisChoices> choices_;
  std::array<double, kTrellisGroups> errors_{};
  Contexts contexts_;
  std::vector<std::uint8_t> seen_;
};

/// Estimates the error at a step from a sample of items, with classes only from their usual sizes.
class SampledError {
 public:
  /// As Quantiser::begin().
  SampledError(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views);
  /// Extrapolated to all items, in the items' unit, with λ multiplied by `lambda_scale`.
  double error(float step, double lambda_scale = 1);
  /// The error of plain rounding with a dead zone: another quantity, but cheap and growing alike.
  double sketched(float step);

 private:
  void classify(float step);

  const FeatureBasis* basis_;
  ClassBits bits_;
  std::vector<float> sample_;        // in runs of kRun items
  std::vector<std::int16_t> scale_;  // per run: of its first item, as in FeatureBasis
  std::vector<std::uint16_t> magnitude_;
  std::vector<std::uint8_t> classes_, seen_;
  std::vector<TrellisStep> trellis_;
  std::vector<TrellisChoices> choices_;
  std::vector<std::uint64_t> second_, minus_;
  double share_ = 1;  // of all items that are sampled
};

/// ⌊16 log2(step)⌋.
int sixteenths(float step);

/// FeatureBasis::levels for Laplace distributions with the classes' predicted mean magnitudes.
std::vector<std::uint8_t> usual_levels();

/// Statistics of coded groups, from which calibration computes FeatureBasis::levels.
class Tallies {
 public:
  void add_plane(std::size_t kind, std::size_t plane, std::uint64_t ones, std::uint64_t bits);
  void set_levels(FeatureBasis& basis) const;

 private:
  std::array<std::array<std::uint64_t, kPlanes>, kKinds> ones_{}, bits_{};
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_QUANTISE_H_
