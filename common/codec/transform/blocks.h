// Items to magnitudes, signs and classes, those to bit strings, these under the entropy coder, and back. Two bodies,
// one result: a portable one, and one for processors with AVX-512 (BW, VL, VBMI2) and BMI2. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "common/codec/transform/context.h"
#include "common/codec/transform/entropy.h"
#include "common/codec/transform/trellis.h"

namespace vitrine::transform {

/// A bit string, least significant bit of each byte first. Reading and writing touch up to nine bytes from the current
/// one on.
struct Bits {
  std::uint8_t* bytes = nullptr;
  std::uint64_t position = 0;
};

/// How often each kind (trellis.h) occurs among `count` items that begin a half channel, `second` having a bit for each
/// 64 trellises: added to counts[kKinds]. `classes` is read up to the next multiple of 64.
using CountFunction = void (*)(const std::uint8_t* classes, const std::uint64_t* second, std::size_t count,
                               std::uint64_t* counts);

/// What split() writes. Memory of all must suffice, with 64 bytes beyond the end of each.
struct SplitStreams {
  std::uint8_t* next[kKinds] = {};  ///< of each kind, its items' numbers: min(|k| >> low bits, kPlanes)
  Bits signs;                       ///< of items that are not 0: 1 is negative
  Bits low;                         ///< low_bits() of the items of large classes
  /// (|k| >> low bits) − 15 of items beyond all planes: 7 bits per byte, the last below 128
  std::uint8_t* escapes = nullptr;
};

/// A half channel. `magnitude`, `classes`: [count], readable up to the next multiple of 64; `second`, `minus`: a bit an
/// item.
using SplitFunction = void (*)(const std::uint16_t* magnitude, const std::uint8_t* classes, const std::uint64_t* second,
                               const std::uint64_t* minus, std::size_t count, SplitStreams& streams);

/// A kind's numbers as planes: bit string t has a one for each of the `count` numbers above t, and bits for those
/// above t − 1 only. Writes them one after another to `out`, each to whole bytes and kPlaneGap more, until one would be
/// empty or all are made; ones[t] counts those of string t. Returns how many strings have ones. `numbers` are read up
/// to the next multiple of 64. `scratch` is the caller's, kept for the next call.
using CollapseFunction = int (*)(const std::uint8_t* numbers, std::uint64_t count, std::uint8_t* out,
                                 std::uint64_t* ones, std::vector<std::uint64_t>& scratch);
inline constexpr std::size_t kPlaneGap = 16;

/// A kind's planes as numbers: out[i] is how many of the `planes` bit strings, beginning with the first, have a one
/// for item i. A plane has a bit for each item that the one before has a one for, the first for all `count`. Strings
/// may be read up to nine bytes beyond their end; `out` may be written up to the next multiple of 64.
using ExpandFunction = void (*)(const std::uint8_t* const* strings, int planes, std::uint64_t count, std::uint8_t* out);

/// What merge() reads.
struct MergedStreams {
  /// of each kind, its items' numbers as expand() makes them; 64 bytes beyond `end` are read
  const std::uint8_t* next[kKinds] = {};
  const std::uint8_t* end[kKinds] = {};
  Bits signs, low;
  std::uint64_t low_end = 0;  ///< bits of `low`
  const std::uint8_t *escapes = nullptr, *escapes_end = nullptr;
  TrellisStates states;
  bool overrun = false;  ///< set when a kind, the escapes or the low bits ended too early
};

/// The next `count` items from all streams, by their classes: a half channel. Writes what contexts see of them, and
/// values, level_eighths() · unit rounded once (`unit`: an eighth of the step), to items[0 .. count), or where
/// `targets` is given each 64 of them to items + target. Arrays may be read and written up to the next multiple of 64.
using MergeFunction = void (*)(const std::uint8_t* classes, std::size_t count, MergedStreams& streams, float unit,
                               float* items, const std::uint32_t* targets, std::uint8_t* seen);

/// About what contexts will see of items: a rounding in half steps, 0 below zero[class] steps (zero: [kClasses], on 64
/// bytes). Returns the sum of
/// (|item| / step − that)². Arrays may be read and written up to the next multiple of 64.
using SketchFunction = double (*)(const float* items, const std::uint8_t* classes, std::size_t count,
                                  float inverse_step, const float* zero, std::uint8_t* seen);

/// What contexts see of magnitudes; arrays may be read and written up to the next multiple of 64.
using SeeFunction = void (*)(const std::uint16_t* magnitude, const std::uint64_t* second, std::size_t count,
                             std::uint8_t* seen);

/// An item of each trellis that is `there`: items [first, first + 64).
struct TrellisStep {
  std::uint32_t first = 0;
  std::uint64_t there = 0;
};
/// What magnitudes cost by class, in fours of squared steps, beside a zero of the first quantiser.
struct TrellisCosts {
  alignas(64) float first[kClasses];   ///< k > 0 of the first quantiser: this + k · each
  alignas(64) float second[kClasses];  ///< k > 0 of the second: this + k · each
  alignas(64) float zero[kClasses];    ///< 0 of the second
  alignas(64) float each[kClasses];
};
/// A step's decisions, a bit for each trellis: for each state that it may lead to, whether the second of its two
/// predecessors did; and where a quantiser's even magnitude is 0.
using TrellisChoices = std::array<std::uint64_t, 10>;
inline constexpr std::size_t kTrellisGroups = 4;  ///< of 16 trellises, which can be searched each for itself

/// The Viterbi algorithm over `count` steps, for the trellises of one group: leaves all choices, and the state in which
/// its trellises end best. Classes lie as items do. Beyond items that are there, nothing is read.
using SearchFunction = void (*)(const float* items, const std::uint8_t* classes, const TrellisStep* steps,
                                std::size_t count, float inverse_step, const TrellisCosts& costs, std::size_t group,
                                const TrellisStates& begin, TrellisChoices* choices, TrellisStates& end);
/// The way back, for the trellises of groups [first_group, last_group): magnitudes, as items lie; for each step, who
/// had the second quantiser and which magnitudes belong to negative items, other trellises' bits kept; and (|item| /
/// step − level)² added to errors[group].
using SettleFunction = void (*)(const float* items, const TrellisStep* steps, std::size_t count, float inverse_step,
                                std::size_t first_group, std::size_t last_group, const TrellisChoices* choices,
                                TrellisStates end, std::uint16_t* magnitude, std::uint64_t* second,
                                std::uint64_t* minus, double* errors);

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
  SketchFunction sketch;
  SeeFunction see;
  SearchFunction search;
  SettleFunction settle;
  CodeFunction code;
  DecodeFunction decode;
};
/// The bodies for isa(), or those that run everywhere. Throws Error as isa() does.
const Blocks& blocks(bool portable = false);
// One of each in a file of its own.
extern const Blocks kPortableBlocks, kAvx512Blocks;

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
