// What is missing from a cache's directories, and the commands that make it again.
#ifndef VITRINE_TOOLS_INSPECT_GAP_H_
#define VITRINE_TOOLS_INSPECT_GAP_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine {

/// Passes that an extraction or a recoding has to go over again to fill a directory's gaps. Ascending; the files that
/// are there stay.
struct Gap {
  std::string directory;              ///< below the cache: "recipes", "vit.0123abcd/logits"
  std::vector<std::uint64_t> shards;  ///< numbers of the files; none when only track.json or basis.h5 is to be made
  std::vector<std::uint32_t> passes;  ///< that those belong to
};

/// One a recoded track, and for the others as few as make nothing but the gaps: a command goes over passes that follow
/// each other and keeps only targets that have a gap there or lack nothing else. `tracks`: all that are known of the
/// cache. Placeholders as in RepairPlan::commands.
std::vector<std::string> gap_commands(const std::filesystem::path& cache, const Plan& plan,
                                      const std::vector<TrackInfo>& tracks, const std::vector<Gap>& gaps);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_GAP_H_
