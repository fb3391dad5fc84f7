// The inner loops of the transform codec: items to magnitudes, signs and classes, to bit strings, to the entropy
// coder's words, and back. Two implementations with identical results: portable, and AVX-512 (BW, VL, VBMI2) with BMI2.
// Private to this room.
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

/// A bit string, least significant bit of each byte first. Reads and writes may touch nine bytes, beginning with the
/// current one.
struct Bits {
  std::uint8_t* bytes = nullptr;
  std::uint64_t position = 0;
};

/// Adds to counts[kKinds] how often each kind (trellis.h) occurs among `count` items from the start of a half channel;
/// `second` has one bit per item. `classes` is read up to the next multiple of 64.
using CountFunction = void (*)(const std::uint8_t* classes, const std::uint64_t* second, std::size_t count,
                               std::uint64_t* counts);

/// Output of split(). Each buffer must be large enough, plus 64 bytes.
struct SplitStreams {
  std::uint8_t* next[kKinds] = {};  ///< per kind, its items' numbers: min(|k| >> low bits, kPlanes)
  Bits signs;                       ///< of nonzero items: 1 is negative
  Bits low;                         ///< the low_bits() lowest bits of items of large classes
  /// (|k| >> low bits) − 15 of items beyond all planes: 7 bits per byte, the last below 128
  std::uint8_t* escapes = nullptr;
};

/// One half channel. `magnitude`, `classes`: [count], readable up to the next multiple of 64; `second`, `negative`: one
/// bit per item.
using SplitFunction = void (*)(const std::uint16_t* magnitude, const std::uint8_t* classes, const std::uint64_t* second,
                               const std::uint64_t* negative, std::size_t count, SplitStreams& streams);

/// A kind's numbers to bit planes: plane t has one bit for each number above t − 1, set if it is above t. Writes the
/// planes to `out`, each padded to whole bytes plus kPlaneGap, until one would have no ones or all are written; ones[t]
/// counts those of plane t. Returns the number of planes with ones. `numbers` [count] are read up to the next multiple
/// of 64. `scratch` belongs to the caller and may be reused.
using CollapseFunction = int (*)(const std::uint8_t* numbers, std::uint64_t count, std::uint8_t* out,
                                 std::uint64_t* ones, std::vector<std::uint64_t>& scratch);
inline constexpr std::size_t kPlaneGap = 16;

/// The inverse: out[i] is the number of leading planes with a one for item i. The first plane has `count` bits, each
/// other one bit per one of the plane before. Planes may be read up to nine bytes beyond their end, `out` written up to
/// the next multiple of 64.
using ExpandFunction = void (*)(const std::uint8_t* const* strings, int planes, std::uint64_t count, std::uint8_t* out);

/// Input of merge().
struct MergedStreams {
  /// per kind, its items' numbers from expand(); up to 64 bytes beyond `end` are read
  const std::uint8_t* next[kKinds] = {};
  const std::uint8_t* end[kKinds] = {};
  Bits signs, low;
  std::uint64_t low_end = 0;  ///< length of `low` in bits
  const std::uint8_t *escapes = nullptr, *escapes_end = nullptr;
  TrellisStates states;
  bool overrun = false;  ///< set when a kind's numbers, the escapes or the low bits ran out
};

/// Reads one half channel, `count` items of the given classes, from all streams. Writes seen_of() of each item, and its
/// value level_eighths() · unit, rounded once (`unit`: an eighth of the step), to items[0 .. count), or with `targets`
/// each run of 64 to items + target. Arrays may be read and written up to the next multiple of 64.
using MergeFunction = void (*)(const std::uint8_t* classes, std::size_t count, MergedStreams& streams, float unit,
                               float* items, const std::uint32_t* targets, std::uint8_t* seen);

/// Approximates what contexts will see of items: rounds to half steps, with a dead zone of zero[class] steps (zero:
/// [kClasses], aligned to 64 bytes). Returns the sum of (|item| / step − rounded)². Arrays may be read and written up
/// to the next multiple of 64.
using SketchFunction = double (*)(const float* items, const std::uint8_t* classes, std::size_t count,
                                  float inverse_step, const float* zero, std::uint8_t* seen);

/// seen_of() of magnitudes. Arrays may be read and written up to the next multiple of 64.
using ContextLevelsFunction = void (*)(const std::uint16_t* magnitude, const std::uint64_t* second, std::size_t count,
                                       std::uint8_t* seen);

/// One item of each trellis whose bit in `active` is set: items [first, first + 64).
struct TrellisStep {
  std::uint32_t first = 0;
  std::uint64_t active = 0;
};
/// Rate cost of magnitudes by class, relative to a zero of the first quantiser, in units of 4 squared steps.
struct TrellisCosts {
  alignas(64) float first[kClasses];   ///< k > 0 of the first quantiser: this + k · each
  alignas(64) float second[kClasses];  ///< k > 0 of the second: this + k · each
  alignas(64) float zero[kClasses];    ///< 0 of the second
  alignas(64) float each[kClasses];
};
/// Decisions of one step, one bit per trellis: for each successor state, whether the second of its two predecessors
/// won; and whether a quantiser's even magnitude is 0.
using TrellisChoices = std::array<std::uint64_t, 10>;
inline constexpr std::size_t kTrellisGroups = 4;  ///< of 16 trellises, searched independently

/// The forward pass of the Viterbi algorithm over `count` steps, for one group of trellises: writes all choices and
/// each trellis's best final state. `classes` is indexed like `items`. Reads only items that are there.
using ViterbiForwardFunction = void (*)(const float* items, const std::uint8_t* classes, const TrellisStep* steps,
                                        std::size_t count, float inverse_step, const TrellisCosts& costs,
                                        std::size_t group, const TrellisStates& begin, TrellisChoices* choices,
                                        TrellisStates& end);
/// The backtracking, for the trellises of groups [first_group, last_group): writes magnitudes, indexed like items; for
/// each step the bits of `second` (uses the second quantiser) and `negative` (negative item), leaving other trellises'
/// bits; and adds (|item| / step − level)² to errors[group].
using ViterbiBacktrackFunction = void (*)(const float* items, const TrellisStep* steps, std::size_t count,
                                          float inverse_step, std::size_t first_group, std::size_t last_group,
                                          const TrellisChoices* choices, TrellisStates end, std::uint16_t* magnitude,
                                          std::uint64_t* second, std::uint64_t* negative, double* errors);

/// Encodes `count` nibbles of a stream, from last to first. Words are written before `next`, which moves down; there
/// must be room for one word per nibble.
using CodeFunction = void (*)(const NibbleModel& model, const std::uint8_t* packed, std::size_t count,
                              NibbleStates& states, std::uint16_t*& next);

/// Decodes up to `count` nibbles: whole rounds over all states, as long as enough words remain for one round. Returns
/// the number decoded.
using DecodeFunction = std::size_t (*)(const NibbleModel& model, std::size_t count, NibbleStates& states,
                                       const std::uint8_t*& next, const std::uint8_t* end, std::uint8_t* packed);

struct Blocks {
  CountFunction count;
  SplitFunction split;
  CollapseFunction collapse;
  ExpandFunction expand;
  MergeFunction merge;
  SketchFunction sketch;
  ContextLevelsFunction context_levels;
  ViterbiForwardFunction viterbi_forward;
  ViterbiBacktrackFunction viterbi_backtrack;
  CodeFunction code;
  DecodeFunction decode;
};
/// The implementation for isa(), or the portable one. Throws Error as isa() does.
const Blocks& blocks(bool portable = false);
// Each is compiled in its own file.
extern const Blocks kPortableBlocks, kAvx512Blocks;

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
