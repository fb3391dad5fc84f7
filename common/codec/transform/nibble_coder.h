// Encodes bit streams as rANS words and back, with the models of entropy.h. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "common/codec/transform/entropy.h"

namespace vitrine::transform {

/// Collects streams, then encodes them all. The decoder must take them in the same order.
class NibbleEncoder {
 public:
  /// `packed`: `bits` bits, least significant bit first, which must stay valid until finish(). The bits that fill up
  /// the last nibble are coded as they are.
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
  /// `bytes`: the result of finish(); at least the states.
  explicit NibbleDecoder(std::span<const std::uint8_t> bytes);
  /// Writes (bits + 7) / 8 bytes. Returns false when words run out; the output is then invalid and the decoder
  /// unusable.
  [[nodiscard]] bool take(std::uint64_t bits, int level, std::uint8_t* packed);
  /// Whether all words were read and all states returned to the encoder's initial state.
  bool ends() const;

 private:
  NibbleStates states_{};
  const std::uint8_t *next_, *end_;
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_NIBBLE_CODER_H_
