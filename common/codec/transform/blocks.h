// Items to magnitudes, signs and classes, those to bit strings, these under the entropy coder, and back. Two bodies,
// one result: a portable one, and one for processors with AVX-512 (BW, VL, VBMI2) and BMI2. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/codec/transform/context.h"
#include "common/codec/transform/entropy.h"

namespace vitrine::transform {

/// A bit string, least significant bit of each byte first. Reading and writing touch up to nine bytes from the current
/// one on.
struct Bits {
  std::uint8_t* bytes = nullptr;
  std::uint64_t position = 0;
};

/// How often each class occurs among `count`: added to counts[kClasses]. `classes` is read up to the next multiple
/// of 64.
using CountFunction = void (*)(const std::uint8_t* classes, std::size_t count, std::uint64_t* counts);

/// What split() writes. Memory of all must suffice, with 64 bytes beyond the end of each.
struct SplitStreams {
  std::uint8_t* next[kClasses] = {};  ///< of each class, its items' numbers: min(|k| >> low bits, kPlanes)
  Bits signs;                         ///< of items that are not 0: 1 is negative
  Bits low;                           ///< low_bits() of the items of large classes
  /// (|k| >> low bits) − 15 of items beyond all planes: 7 bits a byte, the last below 128
  std::uint8_t* escapes = nullptr;
};

/// `magnitude`, `negative` (0 or 1), `classes`: [count], readable up to the next multiple of 64.
using SplitFunction = void (*)(const std::uint16_t* magnitude, const std::uint8_t* negative,
                               const std::uint8_t* classes, std::size_t count, SplitStreams& streams);

/// A class's numbers as planes: bit string t has a one for each of the `count` numbers above t, and bits for those
/// above t − 1 only. Writes them one after another to `out`, each to whole bytes and kPlaneGap more, until one would be
/// empty or all are made; ones[t] counts those of string t. Returns how many strings have ones. `numbers` are read up
/// to the next multiple of 64. `scratch` is the caller's, kept for the next call.
using CollapseFunction = int (*)(const std::uint8_t* numbers, std::uint64_t count, std::uint8_t* out,
                                 std::uint64_t* ones, std::vector<std::uint64_t>& scratch);
inline constexpr std::size_t kPlaneGap = 16;

/// A class's planes as numbers: out[i] is how many of the `planes` bit strings, beginning with the first, have a one
/// for item i. A plane has a bit for each item that the one before has a one for, the first for all `count`. Strings
/// may be read up to nine bytes beyond their end; `out` may be written up to the next multiple of 64.
using ExpandFunction = void (*)(const std::uint8_t* const* strings, int planes, std::uint64_t count, std::uint8_t* out);

/// What merge() reads.
struct MergedStreams {
  /// of each class, its items' numbers as expand() makes them; 64 bytes beyond `end` are read
  const std::uint8_t* next[kClasses] = {};
  const std::uint8_t* end[kClasses] = {};
  Bits signs, low;
  std::uint64_t low_end = 0;  ///< bits of `low`
  const std::uint8_t *escapes = nullptr, *escapes_end = nullptr;
  bool overrun = false;  ///< set when a class, the escapes or the low bits ended too early
};

/// What items stand for: ± (256 |k| + offset) · unit, each rounded once; offset by class and |k| as in FeatureBasis, 0
/// for k = 0.
struct Levels {
  const std::int8_t* offsets;
  float unit;  ///< step / 256
};

/// The next `count` items from all streams, by their classes. Writes min(|k|, kSeen), and values: to items[0 .. count),
/// or where `targets` is given each 64 of them to items + target. Arrays may be read and written up to the next
/// multiple of 64.
using MergeFunction = void (*)(const std::uint8_t* classes, std::size_t count, MergedStreams& streams,
                               const Levels& levels, float* items, const std::uint32_t* targets, std::uint8_t* seen);

/// The encoder's limits, in steps: below zero[c] an item of class c becomes 0, else max(1, floor(x + round[c])).
struct Thresholds {
  alignas(64) float zero[kClasses];
  alignas(64) float round[kClasses];
};
/// Writes magnitude, min(magnitude, 15) and sign of items; returns the sum of (|item| / step − level)², a level being
/// (256 |k| + offset) / 256 with `offsets` as in FeatureBasis. Arrays may be read and written up to the next multiple
/// of 64.
using QuantiseFunction = double (*)(const float* items, const std::uint8_t* classes, std::size_t count,
                                    float inverse_step, const Thresholds& thresholds, const std::int8_t* offsets,
                                    std::uint16_t* magnitude, std::uint8_t* seen, std::uint8_t* negative);

/// Codes `count` nibbles of a stream under the coder, from its last to its first. Words go before `next`, which moves
/// down; there is room for one a nibble.
using CodeFunction = void (*)(const NibbleModel& model, const std::uint8_t* packed, std::size_t count,
                              NibbleStates& states, std::uint16_t*& next);

/// Decodes the first nibbles of `count`: whole rounds over all states, while the words of one are certainly there.
/// Returns how many.
using DecodeFunction = std::size_t (*)(const NibbleModel& model, std::size_t count, NibbleStates& states,
                                       const std::uint8_t*& next, const std::uint8_t* end, std::uint8_t* packed);

struct Blocks {
  CountFunction count;
  SplitFunction split;
  CollapseFunction collapse;
  ExpandFunction expand;
  MergeFunction merge;
  QuantiseFunction quantise;
  CodeFunction code;
  DecodeFunction decode;
};
/// The bodies for this processor; `any`: those that run on every one.
const Blocks& blocks(bool any = false);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
