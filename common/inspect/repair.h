// What to remove from a damaged cache so that extraction fills the gaps, and what it has to fill.
#ifndef VITRINE_COMMON_INSPECT_REPAIR_H_
#define VITRINE_COMMON_INSPECT_REPAIR_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/inspect/verify.h"

namespace vitrine {

/// Passes that an extraction has to go over again to fill a directory's gaps. Ascending; the files that are there stay.
struct Gap {
  std::string directory;              ///< below the cache: "recipes", "vit.0123abcd/logits"
  std::vector<std::uint64_t> shards;  ///< numbers of the files; none when only track.json or basis.h5 is to be made
  std::vector<std::uint32_t> passes;  ///< that those belong to
};

struct RepairPlan {
  /// Nothing at all is to be removed while there are such: the index or the plan is damaged.
  std::vector<Finding> unrepairable;
  std::vector<std::string> remove;  ///< files below the cache, ascending
  std::vector<std::string> relist;  ///< directories whose shards.json is made again
  std::vector<Finding> left;        ///< what a person has to look at: remedies kMove and kImages
  std::vector<Gap> gaps;
  /// The commands that fill the gaps. CONFIG.toml stands for the configuration that made the cache, SOURCE for the
  /// cache that a recoded track was made from.
  std::vector<std::string> commands;

  bool nothing_to_do() const { return remove.empty() && relist.empty() && gaps.empty(); }
};

/// Changes nothing.
RepairPlan plan_repair(const std::filesystem::path& directory, const VerifyReport& report);

/// Removes the files of `plan` and makes the listed shards.json again. Never removes a directory. Throws Error when the
/// plan is unrepairable, or a file cannot be removed; what was removed before stays so.
void carry_out(const std::filesystem::path& directory, const RepairPlan& plan);

}  // namespace vitrine

#endif  // VITRINE_COMMON_INSPECT_REPAIR_H_
