// The entropy coder under the bit planes: range asymmetric numeral systems (Duda 2013, arXiv:1311.2540) over nibbles of
// independent bits of one probability. A stream's only side information is its probability's number. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace vitrine::transform {

inline constexpr int kLevels = 61;       ///< probabilities of a one: odds 2^((level − 30) / 3)
inline constexpr int kStates = 8;        ///< interleaved coders: symbol j of a stream belongs to state j mod 8
inline constexpr int kScaleBits = 12;    ///< frequencies of the 16 nibbles sum to 4096

/// Frequencies of the 16 nibbles at one level, and what coding needs.
struct NibbleModel {
  std::array<std::uint16_t, 16> frequency, start;
  std::array<std::uint64_t, 16> reciprocal;          ///< x / frequency = x · reciprocal >> 63 for x < frequency · 2^20
  std::array<std::uint8_t, 1 << kScaleBits> symbol;  ///< of each slot
};
const NibbleModel& nibble_model(int level);

/// The level under which `ones` of `bits` bits cost least. 0 < ones ≤ bits.
int best_level(std::uint64_t ones, std::uint64_t bits);

/// Collects streams, then codes them all: the decoder must take them in the same order.
class NibbleEncoder {
 public:
  /// `bits` bits, packed from the least significant bit of each byte on, which must stay until finish(); what is missing to a
  /// nibble counts as it stands there.
  void add(std::span<const std::uint8_t> packed, std::uint64_t bits, int level);
  /// States (uint32 × 8), then words (uint16), little-endian.
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
  /// `bytes`: what finish() gave; at least the states. Reads behind its end give zeros, which ends() tells.
  explicit NibbleDecoder(std::span<const std::uint8_t> bytes);
  /// Fills (bits + 7) / 8 bytes.
  void take(std::uint64_t bits, int level, std::uint8_t* packed);
  /// Whether all was read, and the states came back to where the encoder began.
  bool ends() const;

 private:
  std::array<std::uint32_t, kStates> states_{};
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  bool overrun_ = false;
};

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_ENTROPY_H_
