// The uniform encoding: rounds every value to a multiple of one step; the error of no value exceeds a bound that the
// user sets. Designed for logits, whose low bits are noise.
#ifndef VITRINE_COMMON_CODEC_UNIFORM_H_
#define VITRINE_COMMON_CODEC_UNIFORM_H_

#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

/// The array `low` begins with kHeaderBytes bytes; limits of the numbers in them.
struct UniformBytes {
  static constexpr std::size_t kHeaderBytes = 8;
  static constexpr unsigned kMaxShift = 24, kMaxWidth = 4;
};

/// q = round(x / step), step = 2 max_error; x̂ = q · step, rounded to float: |x̂ - x| ≤ max_error, plus half a unit in
/// the float's last place where that is larger. |q| must be below 2^30.
///
/// q is split into its `shift` lowest bits, which do not compress, and h = floor(q / 2^shift). h, minus its mean over
/// the group's views where that pays, is mapped to 0, 1, 2, ... in the order 0, -1, 1, -2, ... and stored in byte
/// planes. Two whole-group arrays:
// clang-format off
///   low   8 bytes: shift, width, with_mean, 0, views as uint32; then shift bits per value, lowest bit first;
///         bit i of the stream is bit i % 8 of byte i / 8
///   high  width byte planes, the lowest first; a plane has the row of means if with_mean is 1, then the views' rows
// clang-format on
/// The encoder tries a few shifts, with and without means, and keeps what zstd compresses best at level 1.
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

/// round(x / step) of one view's values. Throws Error that names the view for a value that is not finite or whose |q|
/// is not below `limit`.
void quantise_uniform(std::span<const float> values, std::size_t view, double step, double limit,
                      std::span<std::int32_t> out);

/// The body of UniformCodec::decode(). `per_view`: values of a view; `step`: twice the largest error.
void decode_uniform(std::span<const std::span<const std::byte>> arrays, std::uint32_t views, std::size_t per_view,
                    double step, std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_UNIFORM_H_
