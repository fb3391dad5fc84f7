// Helpers shared by sources with tracks: target shapes, buffers for a group's values, and packed topk rows.
#ifndef VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_
#define VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_

#include <ATen/ATen.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/cache/track.h"
#include "common/codec/transform/basis.h"
#include "train/targets/source.h"

namespace vitrine {

/// An uninitialised FP32 tensor [views, shape...] of the track's shape, on the CPU.
at::Tensor room_for(const TrackInfo& track, std::uint32_t views);

/// The elements of a contiguous FP32 CPU tensor.
std::span<float> numbers(const at::Tensor& tensor);

/// `logits`, `attention`, `embedding`: may be null. `bases`: one for each of `features`, may be null. `topk`: see
/// TargetShapes.
TargetShapes shapes_of(const TrackInfo* logits, const std::vector<const TrackInfo*>& features,
                       std::vector<std::shared_ptr<const FeatureBasis>> bases, const TrackInfo* attention,
                       const TrackInfo* embedding, bool topk);

/// The index of `temperature` among the topk track's temperatures, the only ones at which the tail is known. Throws
/// Error that lists them when it is not among them.
std::size_t tail_at(const TrackInfo& track, double temperature);

/// Buffers of one group of a topk track, as filled by TopkCodec and TrackReader.
struct TopkGroup {
  TopkGroup(const TrackInfo& track, std::uint32_t group);
  /// The rows of pack_topk(), with the tail at the track's temperature number `at`.
  std::vector<float> packed(std::size_t at) const;

  std::uint32_t views;
  std::vector<float> values;           ///< [views, kept]
  std::vector<float> tails;            ///< [views, temperatures]
  std::vector<std::uint32_t> indices;  ///< [views, kept]
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_
