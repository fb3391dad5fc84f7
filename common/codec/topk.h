// The topk encoding of logits: the largest values of each view with their classes, and the mass of the rest as a
// log-sum-exp at each of a few temperatures. For label sets that are too large to store in full.
#ifndef VITRINE_COMMON_CODEC_TOPK_H_
#define VITRINE_COMMON_CODEC_TOPK_H_

#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

// clang-format off
/// Arrays, one row per view:
///   value  [kept], "<f2", or "<i2" with max_error > 0: q = round(x / step), step = 2 max_error; descending, of equal
///          values the lower class first
///   index  [kept], "|u1", "<u2" or "<u4", the narrowest that holds all classes: the values' classes
///   tail   [temperatures], "<f4": log Σ exp(x_i / τ) over the classes i that were not kept
// clang-format on
class TopkCodec final : public Codec {
 public:
  /// `settings` must have passed CodecSettings::check().
  TopkCodec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape);

  std::vector<ArrayLayout> layout() const override;
  std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const override;
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override;
  /// All classes: those that were not kept share the tail's mass at the first temperature equally.
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override;

  /// The stored values. `values`, `indices`: [views, kept]; `tail`: [views, temperatures]. Throws Error for a wrong
  /// size or a class out of range.
  void decode_kept(std::span<const std::span<const std::byte>> arrays, std::uint32_t views, std::span<float> values,
                   std::span<std::uint32_t> indices, std::span<float> tail) const;

 private:
  std::uint32_t classes_, kept_;
  double step_;  // 0: fp16
  std::vector<double> temperatures_;
  std::size_t index_bytes_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_TOPK_H_
