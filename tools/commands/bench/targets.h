// Synthetic targets like those of a ViT-Tiny for photos of 224 pixels, from a fixed random generator: the input of
// vitrine-bench read.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_

#include <cstdint>
#include <filesystem>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine::bench {

/// A plan over images that need not exist: `groups` groups of `group` views per pass, `shard_groups` groups per shard.
Plan make_plan(std::uint32_t groups, std::uint32_t group, std::uint32_t shard_groups);

/// logits [1000] as fp16, features [192, 14, 14] as int8, attention [3, 14, 14] as sqrt8; `usual`: the extractor's
/// default encodings, without the features' basis.
std::vector<TrackInfo> vit_tiny_tracks(const Plan& plan, bool usual = false);

/// A group's targets, [views, shape...]. Features: channels are mixtures of a few heavy-tailed sources, smooth over
/// positions and partly shared by all of them; each token is scaled to standard deviation 1, as by a LayerNorm.
/// Attention: a softmax over smooth scores. Logits: normal, one class well above the others.
std::vector<float> vit_tiny_values(const TrackInfo& track, std::uint32_t views, std::uint32_t group);

/// Writes a cache of `passes` passes to `directory`, with zstd at `level`; every pass has the same values. `usual`: as
/// above, with a basis calibrated on all groups.
void write_vit_tiny_cache(const std::filesystem::path& directory, const Plan& plan, std::uint32_t passes, int level,
                          bool usual = false);

/// Writes `shards` shards of `groups` groups of one small track to `directory`. Returns the track.
TrackInfo write_many_shards(const std::filesystem::path& directory, std::uint32_t shards, std::uint32_t groups);

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_TARGETS_H_
