// The payload of a group's coefficients and its decoder: entropy-coded bit planes, sorted by context. FORMAT.md in
// common/cache specifies it; encoder/ writes it. Private to this room.
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

/// Maximum items per group: 32 bits count its payload's bytes and low bits.
inline constexpr std::uint64_t kMaxItems = std::uint64_t{1} << 29;
/// Range of a payload's step; keeps all values finite. The encoder never leaves it.
inline constexpr float kMinStep = 0x1p-110f, kMaxStep = 0x1p70f;
/// Upper bound of a payload's bytes: per item 15 bits in planes, at most one two-byte word per four bits, 3 bytes of
/// escapes, 4 low bits and a sign; plus the group's fixed part.
constexpr std::uint64_t max_payload_bytes(std::uint64_t items) {
  const std::uint64_t most = 12 * (items < kMaxItems ? items : kMaxItems) + 4096;
  return most < 0xFFFFFFFF ? most : 0xFFFFFFFF;
}

inline constexpr std::uint16_t kPayloadVersion = 3;
inline constexpr std::size_t kPayloadHeaderBytes = 36;
inline constexpr std::size_t kSlack = 64;    // after a bit string, for whole-word reads and writes
inline constexpr unsigned kOwnLevels = 128;  // flag in a kind's number of planes: levels follow

/// The beginning of a payload, little-endian.
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
  std::span<const std::uint8_t> some;  ///< [H, W]: 0 where all values are 0, the usual case
};

/// Decodes channel by channel, so that the caller works on data in L1 and L2. Reusable: allocates nothing for groups no
/// larger than earlier ones. Not thread-safe.
class ItemDecoder {
 public:
  /// `payload` may be followed by padding and must stay valid until the last channel. Throws Error for bytes that
  /// encode_items() cannot produce.
  void begin(const FeatureBasis& basis, const Slots& slots, std::span<const std::byte> payload, std::uint32_t views);
  /// The next channel. Valid until the next call; its values may be overwritten.
  ChannelItems next();
  /// Call after the last channel. Throws Error unless all streams were used up.
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
  std::vector<float> items_, map_;      // one channel, by slot and by position
  std::vector<std::uint32_t> targets_;  // offsets in map_ of each run of 64 items, if views % 64 == 0
  float unit_ = 0;                      // an eighth of the step
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_PAYLOAD_H_
