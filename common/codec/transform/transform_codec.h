// The transform encoding of feature tracks: coefficients in a calibrated basis (basis.h), one step per group,
// magnitudes in context-sorted, entropy-coded bit planes (payload.h). The error of every group is bounded.
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
  /// The same; also writes the coefficients, vectors · (x − mean), to `coefficients` [views, C, H, W]. With
  /// decode_coefficients() they give the loss without the inverse product (loss.h).
  std::vector<Array> encode(std::span<const float> values, std::uint32_t views, std::span<float> coefficients) const;
  void decode(std::span<const std::span<const std::byte>> arrays, std::uint32_t views,
              std::span<float> out) const override;

  /// As encode(), from coefficients [views, C, H, W] over channels only, vectors · (x − mean): for callers with a
  /// faster matrix product.
  std::vector<std::byte> encode_coefficients(std::span<const float> coefficients, std::uint32_t views) const;
  /// Coefficients over channels, the transform over positions undone: [views, C, H, W]; vectorsᵀ · out + mean is the
  /// feature map. With a transform over positions, the last bits depend on the machine.
  void decode_coefficients(std::span<const std::byte> payload, std::uint32_t views, std::span<float> out) const;
  /// The payload's items before any matrix product: [C, H, W, views], the same bits on every machine and with every
  /// compiler.
  void decode_items(std::span<const std::byte> payload, std::uint32_t views, std::span<float> out) const;

 private:
  struct Order;
  std::shared_ptr<const FeatureBasis> basis_;
  std::unique_ptr<const Order> order_;
  double max_error_;
};

/// vectors · (x − mean) for values [views, C, H, W], the input of encode_coefficients().
void transform_coefficients(const FeatureBasis& basis, std::span<const float> values, std::uint32_t views,
                            std::span<float> out);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CODEC_TRANSFORM_TRANSFORM_CODEC_H_
