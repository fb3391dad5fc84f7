// The bytes of a group's coefficients and their decoder: bit planes sorted by context under an entropy coder. FORMAT.md
// in common/cache describes them; encoder/ makes them. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/basis.h"
#include "common/codec/transform/blocks.h"
#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// Items of a group at most: 32 bits count its payload's bytes and low bits.
inline constexpr std::uint64_t kMaxItems = std::uint64_t{1} << 29;
/// A payload's step lies between these, so that all values are finite. The encoder finds none beyond.
inline constexpr float kMinStep = 0x1p-110f, kMaxStep = 0x1p70f;
/// Bytes that no payload of so many items exceeds: of an item 15 bits in planes, each four of which take a word of two
/// bytes at most, 3 bytes of escapes, 4 low bits and a sign; and what a group has once.
constexpr std::uint64_t max_payload_bytes(std::uint64_t items) {
  const std::uint64_t most = 12 * (items < kMaxItems ? items : kMaxItems) + 4096;
  return most < 0xFFFFFFFF ? most : 0xFFFFFFFF;
}

inline constexpr std::uint16_t kPayloadVersion = 3;
inline constexpr std::size_t kPayloadHeaderBytes = 36;
inline constexpr std::size_t kSlack = 64;    // after a bit string, for reads and writes of whole words
inline constexpr unsigned kOwnLevels = 128;  // beside a kind's number of planes: levels follow

/// What a payload begins with, little-endian.
struct PayloadHeader {
  std::uint32_t bytes;
  float step;
  std::int16_t step_sixteenths;
  std::uint16_t version;
  std::uint32_t kinds[2];  // bit k: kind k has items
  std::uint32_t sign_bits, low_bits, escape_bytes, entropy_bytes;
};
static_assert(sizeof(PayloadHeader) == kPayloadHeaderBytes);

/// One channel of a group, by position.
struct ChannelItems {
  std::span<float> values;             ///< [H, W, views]
  std::span<const std::uint8_t> some;  ///< [H, W]: 0 where all values are 0, as most are
};

/// Decodes channel after channel, so that what follows works on data in the cache's first levels. Kept and used again,
/// it allocates nothing for groups of a size that it has met. One thread at a time.
class ItemDecoder {
 public:
  /// `payload` may have bytes after its own, and must stay until the last channel. Throws Error for bytes that
  /// encode_items() cannot have made.
  void begin(const FeatureBasis& basis, const Slots& slots, std::span<const std::byte> payload, std::uint32_t views);
  /// The next channel. Valid until the next call; its values may be overwritten.
  ChannelItems next();
  /// After the last channel. Throws Error unless all streams were used up.
  void finish() const;

 private:
  void merge(std::uint32_t first, std::uint32_t last);  // slots [first, last) of the channel

  const FeatureBasis* basis_ = nullptr;
  const Slots* slots_ = nullptr;
  std::uint32_t views_ = 0, channel_ = 0;
  Contexts contexts_;
  MergedStreams streams_;
  std::uint64_t sign_bits_ = 0;
  std::vector<std::uint8_t> planes_, numbers_, signs_, low_, classes_, seen_, some_;
  std::vector<float> items_, map_;      // of a channel, by slot and by position
  std::vector<std::uint32_t> targets_;  // where in map_ each 64 items belong, where that many always stay together
  float unit_ = 0;                      // an eighth of the step
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_
