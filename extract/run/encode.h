// Encodes a group of one track, checks what a reader will get, and measures the error.
#ifndef VITRINE_EXTRACT_RUN_ENCODE_H_
#define VITRINE_EXTRACT_RUN_ENCODE_H_

#include <cstdint>
#include <span>
#include <vector>

#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/codec/loss.h"
#include "common/codec/transform/basis.h"
#include "common/codec/transform/transform_codec.h"

namespace vitrine {

struct EncodedGroup {
  std::vector<Array> arrays;
  CodecLoss loss;
};

/// Thread-safe. References must outlive it.
class GroupEncoder {
 public:
  /// `basis`: of the track; null for encodings without one.
  GroupEncoder(const TrackInfo& track, const Codec& codec, const FeatureBasis* basis);

  /// raw: FP32 [views, shape...]. Throws Error, naming the track, for values that cannot be encoded, and kInternal when
  /// the measured error exceeds the track's bound.
  EncodedGroup encode(std::span<const float> raw, std::uint32_t views) const;

 private:
  EncodedGroup encoded(std::span<const float> raw, std::uint32_t views) const;
  void check_bound(const CodecLoss& loss) const;

  const TrackInfo& track_;
  const Codec& codec_;
  const FeatureBasis* basis_;
  const TransformCodec* in_basis_;  ///< where an error of coefficients is one of features; else null
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_ENCODE_H_
