// The encoder's choices: which of the levels near a coefficient is taken. Squared error against bits, along whole paths
// through the trellises (trellis.h). The format knows nothing of it. Private to this room.
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

/// A group at one step. Items of a half channel have words of their own, a bit for each of 64.
struct Quantised {
  std::span<std::uint16_t> magnitude;
  std::span<std::uint8_t> classes;           ///< contexts' classes. Both [C, slots, views], with room for 64 more
  std::vector<std::uint64_t> second, minus;  ///< whose is the second quantiser; which magnitudes are of negative items
  double error = 0;                          ///< sum of squares, in the items' own unit
  float step = 0;
  Buffer magnitudes, class_bytes;  ///< what the spans lie in
};

/// What magnitudes cost in bits, by class, as the basis's levels say.
class ClassBits {
 public:
  ClassBits() = default;
  explicit ClassBits(const FeatureBasis& basis);
  /// With `lambda` squared steps a bit.
  TrellisCosts costs(double lambda) const;

 private:
  std::array<double, kClasses> first_{}, second_{}, zero_{}, each_{};  // as in TrellisCosts
};

/// Half a channel of a group: items [begin, end), and where its words begin. A half may be empty.
struct Half {
  std::uint32_t channel, first_slot, last_slot;
  bool ends_channel;
  std::size_t begin, end, first_word;
};

/// Quantises a group as often as its step is looked for. Kept and used again, it allocates only for larger groups.
class Quantiser {
 public:
  /// `items`: [C, slots, views]. All must outlive the group.
  void begin(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views);
  /// All of it at a step. Classes are those of a sketch, about right, until finish().
  void quantise(float step, Quantised& out);
  /// The same once more for one of kTrellisGroups groups of trellises, with bits `lambda_scale` times as dear as usual:
  /// of one step many errors can be had. Only for what quantise() gave last.
  void again(std::size_t group, double lambda_scale, Quantised& out);
  /// Error of a group of trellises, in the items' own unit.
  double error_of(std::size_t group) const { return errors_[group]; }
  /// Classes as a decoder will find them, and how often each kind occurs.
  std::array<std::uint64_t, kKinds> finish(Quantised& out);

  std::span<const Half> halves() const { return halves_; }

 private:
  void classify(const Half& half, Quantised& out);  // once its neighbours and all channels before are seen

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

/// About the error at a step, from some of the items, their classes told by their usual size alone.
class SampledError {
 public:
  /// As Quantiser::begin().
  SampledError(const FeatureBasis& basis, const Slots& slots, std::span<const float> items, std::uint32_t views);
  /// In the items' own unit, for all of them, with bits `lambda_scale` times as dear as usual.
  double error(float step, double lambda_scale = 1);
  /// Of a sketch: something else, but as quickly told, and growing alike.
  double sketched(float step);

 private:
  void classify(float step);

  const FeatureBasis* basis_;
  ClassBits bits_;
  std::vector<float> sample_;        // runs of kRun items
  std::vector<std::int16_t> scale_;  // a run: of its first item, as in FeatureBasis
  std::vector<std::uint16_t> magnitude_;
  std::vector<std::uint8_t> classes_, seen_;
  std::vector<TrellisStep> trellis_;
  std::vector<TrellisChoices> choices_;
  std::vector<std::uint64_t> second_, minus_;
  double share_ = 1;  // of all items
};

/// round-down of 16 log2(step).
int sixteenths(float step);

/// FeatureBasis::levels of Laplace distributions whose mean magnitudes are what classes predict.
std::vector<std::uint8_t> usual_levels();

/// What calibration learns from coded groups: FeatureBasis::levels.
class Tallies {
 public:
  void add_plane(std::size_t kind, std::size_t plane, std::uint64_t ones, std::uint64_t bits);
  void settle(FeatureBasis& basis) const;

 private:
  std::array<std::array<std::uint64_t, kPlanes>, kKinds> ones_{}, bits_{};
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENCODER_QUANTISE_H_
