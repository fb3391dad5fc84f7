// The transform encoding of feature tracks: coefficients in a calibrated basis (basis.h), one step a group, magnitudes
// in context-sorted bit planes under an entropy coder (payload.h). The error is bounded group by group.
#ifndef VITRINE_COMMON_CODEC_TRANSFORM_TRANSFORM_CODEC_H_
#define VITRINE_COMMON_CODEC_TRANSFORM_TRANSFORM_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/codec/codec.h"
#include "common/codec/transform/basis.h"

namespace vitrine {

class TransformCodec : public Codec {
 public:
  /// `max_error`: of |x' − x|² summed over a group, as a share of |x − mean|²; in (0, 1).
  TransformCodec(std::shared_ptr<const FeatureBasis> basis, double max_error);
  ~TransformCodec() override;

  const FeatureBasis& basis() const { return *basis_; }
  double max_error() const { return max_error_; }

  /// One array, "payload": whole_group bytes.
  std::vector<ArrayLayout> layout() const override;
  std::uint64_t max_bytes(std::size_t i, std::uint32_t views) const override;
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views) const override;
  /// The same, which leaves in `coefficients` [views, C, H, W] what it coded, vectors · (x − mean): what was lost can
  /// be told from these and decode_coefficients(), without the product back (loss.h).
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views, std::span<float> coefficients) const;
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override;

  /// As encode(), from coefficients [views, C, H, W] over channels only, as vectors · (x − mean) gives them: for who
  /// has a faster matrix product at hand.
  std::vector<std::byte> encode_coefficients(std::span<const float> coefficients, std::uint32_t views) const;
  /// Features in the basis of channels, the transform over positions undone: [views, C, H, W]; vectorsᵀ · this + mean
  /// is the feature map. With a transform over positions they went through products, whose last bits are the machine's.
  void decode_coefficients(std::span<const std::byte> payload, std::uint32_t views, std::span<float> out) const;
  /// What a payload means before any matrix product: items [C, H, W, views], the same bits on every machine and from
  /// every compiler.
  void decode_items(std::span<const std::byte> payload, std::uint32_t views, std::span<float> out) const;

 private:
  struct Order;
  std::shared_ptr<const FeatureBasis> basis_;
  std::unique_ptr<const Order> order_;
  double max_error_;
};

/// vectors · (x − mean) for values [views, C, H, W]: what encode_coefficients() takes.
void transform_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views,
                            std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_TRANSFORM_CODEC_H_
