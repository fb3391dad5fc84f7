// Which of the student's stages each of the teacher's blocks is compared with.
#ifndef VITRINE_TRAIN_MATCHING_PAIRS_H_
#define VITRINE_TRAIN_MATCHING_PAIRS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "train/matching/feature_transformer.h"

namespace vitrine {

/// The stage, 1 to 4, that lies as deep in a ResNet as `block` does in a ViT whose last compared block is `deepest`:
/// ⌈4·(block + 1)/(deepest + 1)⌉. Of a ViT with 12 blocks, 2, 5, 8 and 11 meet the stages 1, 2, 3 and 4; of one with
/// 24, 5, 11, 17 and 23 do. Blocks are counted from 0; block > deepest is a std::logic_error.
std::uint32_t default_stage(std::uint32_t block, std::uint32_t deepest);

/// The deepest stage whose map is at least as fine as the teacher's of `grid` positions a side, in a student that sees
/// `size` pixels: its maps have ⌈size/2^(stage+1)⌉ a side. 1 where none is. So nothing is averaged away: of a ViT with
/// patches of 16 pixels it is 3 at equal size, of one with patches of 8 it is 2.
std::uint32_t matching_stage(int size, std::int64_t grid);

/// The stage of each feature track ("features.BLOCK"): options.stages; where that is empty, `single` for a single track
/// and default_stage for several. Throws Error when stages and tracks differ in number, or a track names no
/// block.
std::vector<std::uint32_t> paired_stages(const FeatureTransformerOptions& options,
                                         const std::vector<std::string>& tracks, std::uint32_t single);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_MATCHING_PAIRS_H_
