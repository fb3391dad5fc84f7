// A group's coefficients as bytes and back: the step that keeps the bound, quantisation, bit planes sorted by context, entropy
// coding. FORMAT.md in common/cache has the bytes. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/context.h"
#include "common/codec/transform/quantise.h"

namespace vitrine::transform {

/// `items`: [C, slots, views], finite. The step is the largest of 2^(j/64) at which the squared error is at most `max_error` of
/// the squares' sum. `tallies`, where given, learns from the group.
std::vector<std::uint8_t> encode_items(const FeatureBasis& basis, const Slots& slots, std::span<const float> items,
                                       std::uint32_t views, double max_error, const TransformSteps& steps = {},
                                       Tallies* tallies = nullptr);

/// Decodes channel after channel, so that what follows works on data in the cache's first levels. Kept and used again, it
/// allocates nothing for groups of a size that it has met. One thread at a time.
class ItemDecoder {
 public:
  /// `payload` may have bytes after its own, and must stay until the last channel. Throws Error for bytes that encode_items() cannot
  /// have made.
  void begin(const FeatureBasis& basis, const Slots& slots, std::span<const std::byte> payload, std::uint32_t views);
  /// The next channel, [slots, views]: as many floats, but room up to the next multiple of 64.
  void next(float* out);
  /// After the last channel. Throws Error unless all streams were used up.
  void finish() const;

 private:
  const FeatureBasis* basis_ = nullptr;
  const Slots* slots_ = nullptr;
  std::uint32_t views_ = 0, channel_ = 0;
  Contexts contexts_;
  Streams streams_;
  std::uint64_t bits_[kClasses][kPlanes] = {};
  std::uint64_t sign_bits_ = 0;
  std::vector<std::uint8_t> planes_, signs_, low_, classes_, seen_, negative_;
  std::vector<std::uint16_t> magnitude_;
  float unit_ = 0;  // 1/256 of the step
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_
