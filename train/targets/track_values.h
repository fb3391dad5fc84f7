// What sources that read or make tracks have in common: the shapes that a reader of targets sees, room for a group's
// values, and rows of the largest logits.
#ifndef VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_
#define VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_

#include <torch/torch.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "common/cache/track.h"
#include "common/codec/transform/basis.h"
#include "train/targets/source.h"

namespace vitrine {

/// FP32 [views, shape...] of the track on the CPU, which is large and not filled with zeros first.
at::Tensor room_for(const TrackInfo& track, std::uint32_t views);

/// The values of such a tensor.
std::span<float> numbers(const at::Tensor& tensor);

/// `logits`, `attention` and `embedding`: null where there are none. `bases`: one for each of `features`, or null.
/// `topk`: logits are packed rows of the largest.
TargetShapes shapes_of(const TrackInfo* logits, const std::vector<const TrackInfo*>& features,
                       std::vector<std::shared_ptr<const FeatureBasis>> bases, const TrackInfo* attention,
                       const TrackInfo* embedding, bool topk);

/// Which of the topk track's temperatures is the loss's: the tail's mass is known at no other. Throws Error that lists
/// them when it is none.
std::size_t tail_at(const TrackInfo& track, double temperature);

/// The buffers of one group of a topk track of `kept` largest logits, as TopkCodec and TrackReader fill them.
struct TopkGroup {
  TopkGroup(const TrackInfo& track, std::uint32_t group);
  /// The rows that they make, as pack_topk() leaves them; `at`: which of the track's temperatures the tail is of.
  std::vector<float> packed(std::size_t at) const;

  std::uint32_t views;
  std::vector<float> values;           ///< [views, kept]
  std::vector<float> tails;            ///< [views, temperatures]
  std::vector<std::uint32_t> indices;  ///< [views, kept]
};

}  // namespace vitrine

#endif  // VITRINE_TRAIN_TARGETS_TRACK_VALUES_H_
