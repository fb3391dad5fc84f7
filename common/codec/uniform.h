// The uniform encoding: every value rounded to a multiple of one step, so that no value errs by more than a bound that
// the user names. Made for logits, whose bits are few and whose lowest ones are noise.
#ifndef VITRINE_COMMON_CODEC_UNIFORM_H_
#define VITRINE_COMMON_CODEC_UNIFORM_H_

#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

/// q = round(x / step), step = 2 max_error; x̂ = q · step, rounded to float: |x̂ - x| ≤ max_error, and half a unit of the
/// float's last place more where that is larger. |q| must stay below 2^30.
///
/// q is split into its `shift` lowest bits, which no compressor makes smaller, and the rest h = floor(q / 2^shift). The
/// rest, less its mean over the group's views where that pays, is mapped to 0, 1, 2, ... in the order 0, -1, 1, -2, ...
/// and laid out in planes of bytes. Two arrays of whole groups:
///   low   8 bytes: shift, width, with_mean, 0, views as uint32; then shift bits per value, lowest bit first, bit i of
///   the
///         stream being bit i % 8 of byte i / 8
///   high  width planes of bytes, the lowest first; a plane has the means' row when with_mean is 1, then the views'
///   rows
/// The encoder tries a few shifts, with and without means, and keeps what zstd at level 1 makes smallest.
class UniformCodec final : public Codec {
 public:
  UniformCodec(double max_error, const std::vector<std::uint32_t>& shape);

  std::vector<ArrayLayout> layout() const override;
  std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const override;
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override;
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override;

 private:
  double step_;
  std::size_t per_view_;
};

/// round(x / step) of one view's values. Throws Error that names the view for one that is not finite, or whose |q| is
/// not below `limit`.
void quantise_uniform(std::span<const float> values, std::size_t view, double step, double limit,
                      std::span<std::int32_t> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_UNIFORM_H_
