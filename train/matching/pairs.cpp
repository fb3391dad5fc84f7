#include "train/matching/pairs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <charconv>
#include <stdexcept>

#include "common/base/error.h"

namespace vitrine {
namespace {

std::uint32_t block_of(const std::string& track) {
  const std::size_t dot = track.rfind('.');
  std::uint32_t block = 0;
  const char* end = track.data() + track.size();
  if (dot != std::string::npos && std::from_chars(track.data() + dot + 1, end, block).ptr == end &&
      dot + 1 < track.size())
    return block;
  fail("targets.features names ", track,
       ", which is not a track of one block, as features.11 is; set transformer.stages to say "
       "which stage it is compared with");
}

}  // namespace

std::uint32_t default_stage(std::uint32_t block, std::uint32_t deepest) {
  if (block > deepest) throw std::logic_error("default_stage: a block below the deepest");
  return (4 * (block + 1) + deepest) / (deepest + 1);
}

std::uint32_t matching_stage(int size, std::int64_t grid) {
  std::uint32_t stage = 4;
  const auto side = [size](std::uint32_t s) { return (std::int64_t{size} + (2 << s) - 1) >> (s + 1); };
  while (stage > 1 && side(stage) < grid) --stage;
  return stage;
}

std::vector<std::uint32_t> paired_stages(const FeatureTransformerOptions& options,
                                         const std::vector<std::string>& tracks, std::uint32_t single) {
  if (!options.stages.empty()) {
    if (options.stages.size() != tracks.size())
      fail("transformer.stages names ", options.stages.size(), " stages for the ", tracks.size(),
           " tracks of targets.features; give one per track, or none for the default pairs");
    return options.stages;
  }
  if (tracks.size() == 1) return {single};
  std::vector<std::uint32_t> out;
  std::uint32_t deepest = 0;
  for (const std::string& track : tracks) deepest = std::max(deepest, block_of(track));
  for (const std::string& track : tracks) out.push_back(default_stage(block_of(track), deepest));
  return out;
}

}  // namespace vitrine
