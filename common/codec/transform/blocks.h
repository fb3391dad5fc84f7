// Magnitudes, signs and classes of 64 items at a time, to bit streams and back. Two bodies, one result: a portable one, and one for
// processors with AVX-512BW and BMI2. Private to this room.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_

#include <cstddef>
#include <cstdint>

#include "common/codec/transform/context.h"

namespace vitrine::transform {

/// A bit string, least significant bit of each byte first. Reading and writing touch up to nine bytes from the current one on.
struct Bits {
  std::uint8_t* bytes = nullptr;
  std::uint64_t position = 0;
};

struct Streams {
  Bits planes[kClasses][kPlanes];
  Bits signs;               ///< of items that are not 0: 1 is negative
  Bits low;                 ///< low_bits() of the items of large classes
  std::uint8_t* escapes = nullptr;            ///< (|k| >> low bits) − 15 of items beyond all planes: 7 bits a byte, the last below 128
  const std::uint8_t* escapes_end = nullptr;  ///< reading only
  std::uint64_t low_end = 0;                  ///< reading only: bits of `low`
  bool overrun = false;                       ///< reading: escapes or low bits ended too early
};

/// `magnitude`, `negative` (0 or 1), `classes`: [count]. Memory of all streams must suffice.
using PackFunction = void (*)(const std::uint16_t* magnitude, const std::uint8_t* negative, const std::uint8_t* classes,
                              std::size_t count, Streams& streams);
/// The inverse. `seen`: min(magnitude, 15). All four arrays may be written up to the next multiple of 64.
using UnpackFunction = void (*)(const std::uint8_t* classes, std::size_t count, Streams& streams, std::uint16_t* magnitude,
                                std::uint8_t* negative, std::uint8_t* seen);

/// The encoder's limits, in steps: below zero[c] an item of class c becomes 0, else max(1, floor(x + round[c])).
struct Thresholds {
  alignas(64) float zero[kClasses];
  alignas(64) float round[kClasses];
};
/// Writes magnitude, min(magnitude, 15) and sign of items; returns the sum of (|item| / step − level)², a level being
/// (256 |k| + offset) / 256 with `offsets` as in FeatureBasis. Arrays may be read and written up to the next multiple of 64.
using QuantiseFunction = double (*)(const float* items, const std::uint8_t* classes, std::size_t count, float inverse_step,
                                    const Thresholds& thresholds, const std::int8_t* offsets, std::uint16_t* magnitude,
                                    std::uint8_t* seen, std::uint8_t* negative);
/// The items: ± (256 |k| + offset) · unit, unit = step / 256, each rounded once. Written up to the next multiple of 64.
using DequantiseFunction = void (*)(const std::uint16_t* magnitude, const std::uint8_t* negative, const std::uint8_t* classes,
                                    std::size_t count, const std::int8_t* offsets, float unit, float* items);

/// Those of this processor; `any`: those that run on every one.
PackFunction pack_function(bool any = false);
UnpackFunction unpack_function(bool any = false);
QuantiseFunction quantise_function(bool any = false);
DequantiseFunction dequantise_function(bool any = false);

}  // namespace vitrine::transform

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_BLOCKS_H_
