// Missing files of a cache, and the commands that make them again.
#ifndef VITRINE_TOOLS_INSPECT_GAP_H_
#define VITRINE_TOOLS_INSPECT_GAP_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/plan/plan.h"

namespace vitrine {

/// The missing shards of a directory, and the passes to extract or recode again; existing files stay. Ascending.
struct Gap {
  std::string directory;              ///< relative to the cache: "recipes", "vit.0123abcd/logits"
  std::vector<std::uint64_t> shards;  ///< file numbers; empty if only track.json or basis.h5 is missing
  std::vector<std::uint32_t> passes;  ///< of these shards
};

struct GapFilling {
  std::vector<std::string> commands;
  std::vector<std::string> rewritten;  ///< tracks with gaps that another program wrote, by directory; see write_again()
};

/// One command per recoded track; for extracted tracks as few as possible that fill only the gaps: a command covers
/// consecutive passes and only targets that have a gap there or are otherwise complete. `tracks`: all known tracks of
/// the cache. Placeholders as in RepairPlan::commands.
GapFilling fill_gaps(const std::filesystem::path& cache, const Plan& plan, const std::vector<TrackInfo>& tracks,
                     const std::vector<Gap>& gaps);

/// What to do for a track that vitrine_cache.Writer made.
std::string write_again(const std::string& directory);

/// The command that restores prepared.json and keeps the shards. `tracks`: as in fill_gaps().
std::string prepare_command(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_GAP_H_
