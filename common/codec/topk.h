// The topk encoding of logits: the largest values of each view with their classes, and the mass of all the others as a
// log-sum-exp at each of a few temperatures. For label sets that are too large to keep whole.
#ifndef VITRINE_COMMON_CODEC_TOPK_H_
#define VITRINE_COMMON_CODEC_TOPK_H_

#include <vector>

#include "common/codec/codec.h"

namespace vitrine {

/// Arrays, a row per view: `value` ("<f2"; with max_error > 0 "<i2", q = round(x / step), step = 2 max_error) and
/// `index`
/// ("|u1", "<u2" or "<u4": the narrowest that holds all classes), [kept], the largest value first, of equal ones the
/// lower class; `tail` ("<f4"), [temperatures]: log Σ exp(x_i / τ) over the classes i that were not kept.
class TopkCodec final : public Codec {
 public:
  /// `settings` have been checked (CodecSettings::check).
  TopkCodec(const CodecSettings& settings, const std::vector<std::uint32_t>& shape);

  std::vector<ArrayLayout> layout() const override;
  std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const override;
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override;
  /// All classes: those that were not kept share the mass that the tail has at the first temperature, in equal parts.
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override;

  /// What is stored. `values`, `indices`: [views, kept]; `tail`: [views, temperatures]. Throws Error for a size that
  /// does not fit and a class that does not exist.
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
