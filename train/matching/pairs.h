// Pairs the teacher's blocks with the student's stages.
#ifndef VITRINE_TRAIN_MATCHING_PAIRS_H_
#define VITRINE_TRAIN_MATCHING_PAIRS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "train/matching/feature_transformer.h"

namespace vitrine {

/// The stage, 1 to 4, of the same relative depth as `block` in a ViT whose last compared block is `deepest`: ⌈4·(block
/// + 1)/(deepest + 1)⌉. In a ViT of 12 blocks, blocks 2, 5, 8 and 11 are paired with stages 1, 2, 3 and 4; in one of 24
/// blocks, blocks 5, 11, 17 and 23. Blocks are counted from 0; block > deepest is a std::logic_error.
std::uint32_t default_stage(std::uint32_t block, std::uint32_t deepest);

/// The deepest stage whose map is at least as fine as the teacher's grid × grid positions, so that pooling does not
/// lose the teacher's resolution. A stage's map has ⌈size/2^(stage+1)⌉ positions per side for a student that sees
/// `size` pixels. 1 when no stage is fine enough. At equal size it is 3 for patches of 16 pixels and 2 for patches of
/// 8.
std::uint32_t matching_stage(int size, std::int64_t grid);

/// The stage of each feature track ("features.BLOCK"): options.stages, or if empty `single` for one track and
/// default_stage() for several. Throws Error when the numbers of stages and tracks differ, or a track names no block.
std::vector<std::uint32_t> paired_stages(const FeatureTransformerOptions& options,
                                         const std::vector<std::string>& tracks, std::uint32_t single);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_PAIRS_H_
