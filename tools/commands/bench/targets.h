// What a ViT-Tiny gives for a photo at 224 pixels, drawn from a fixed generator: the content that vitrine-bench read
// works on.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine::bench {

/// A plan over images that need not exist: `groups` groups of `group` views per pass, `shard_groups` of them in a
/// shard.
Plan make_plan(std::uint32_t groups, std::uint32_t group, std::uint32_t shard_groups);

/// logits [1000] as fp16, features [192, 14, 14] as int8, attention [3, 14, 14] as sqrt8; `usual`: the encodings that
/// the extractor takes when it is told nothing, the features' basis yet to be made.
std::vector<TrackInfo> vit_tiny_tracks(const Plan& plan, bool usual = false);

/// A group's targets, [views, shape...]. Features: tokens whose channels are mixed from a few heavy-tailed sources,
/// smooth over positions and shared by all of them in part, brought to deviation 1 a token as a LayerNorm does.
/// Attention: a softmax over smooth scores. Logits: normal, one class well above the others.
std::vector<float> vit_tiny_values(const TrackInfo& track, std::uint32_t views, std::uint32_t group);

/// A cache of `passes` passes in `directory`, with zstd at `level`; every pass has the same values. `usual`: as above,
/// a basis calibrated on all groups.
void write_vit_tiny_cache(const std::filesystem::path& directory, const Plan& plan, std::uint32_t passes, int level,
                          bool usual = false);

/// `shards` shards of `groups` groups of one small track in `directory`. Returns its track.
TrackInfo write_many_shards(const std::filesystem::path& directory, std::uint32_t shards, std::uint32_t groups);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_
