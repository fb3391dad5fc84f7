// The inner loops of the resampler, compiled for several instruction sets. Integer arithmetic: all give the same bits.
// Private to this room.
#ifndef VITRINE_COMMON_IMAGE_RESAMPLE_ROWS_H_
#define VITRINE_COMMON_IMAGE_RESAMPLE_ROWS_H_

#include <cstddef>
#include <cstdint>

namespace vitrine {

/// Pillow's precision: with 8-bit pixels and the weights' overshoot, sums fit into 32 bits.
inline constexpr int kResamplePrecision = 22;

/// The inputs that an output uses: [first, first + count).
struct ResampleTaps {
  int first, count;
};

struct ResampleLoops {
  /// One row of `outputs` RGB pixels: out[o] = Σ in[taps[o].first + t] · weights[o · longest + t], rounded to bytes.
  /// in: `pixels` RGB pixels.
  void (*across)(const std::uint8_t* in, int pixels, const ResampleTaps* taps, const std::int32_t* weights, int longest,
                 int outputs, std::uint8_t* out);
  /// out = Σ in[t · stride] · weights[t] over `count` rows of `bytes`, rounded to bytes.
  void (*down)(const std::uint8_t* in, std::ptrdiff_t stride, const std::int32_t* weights, int count, std::size_t bytes,
               std::uint8_t* out);
};

/// The best for this processor, by common/codec/isa.h.
const ResampleLoops& resample_loops();

}  // namespace vitrine

#endif  // VITRINE_COMMON_IMAGE_RESAMPLE_ROWS_H_
