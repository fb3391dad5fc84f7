// Streams of bits as rANS words and back, over the models of entropy.h. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/entropy.h"

namespace vitrine::transform {

/// Collects streams, then codes them all: the decoder must take them in the same order.
class NibbleEncoder {
 public:
  /// `bits` bits, packed from the least significant bit of each byte on, which must stay until finish(); what is
  /// missing to a nibble counts as it stands there.
  void add(std::span<const std::uint8_t> packed, std::uint64_t bits, int level);
  /// States (uint32 × 32), then words (uint16), little-endian.
  std::vector<std::uint8_t> finish();

 private:
  struct Stream {
    int level;
    const std::uint8_t* packed;
    std::size_t count;  // of nibbles
  };
  std::vector<Stream> streams_;
};

class NibbleDecoder {
 public:
  /// `bytes`: what finish() gave; at least the states.
  explicit NibbleDecoder(std::span<const std::uint8_t> bytes);
  /// Fills (bits + 7) / 8 bytes. False where words are lacking: what was filled is nothing then, and nothing more can
  /// be taken.
  [[nodiscard]] bool take(std::uint64_t bits, int level, std::uint8_t* packed);
  /// Whether all was read, and the states came back to where the encoder began.
  bool ends() const;

 private:
  NibbleStates states_{};
  const std::uint8_t *next_, *end_;
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_
