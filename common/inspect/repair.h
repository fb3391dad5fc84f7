// What to remove from a damaged cache so that extraction fills the gaps, and what it has to fill.
#ifndef VITRINE_COMMON_INSPECT_REPAIR_H_
#define VITRINE_COMMON_INSPECT_REPAIR_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "common/inspect/gap.h"
#include "common/inspect/verify.h"

namespace vitrine {

struct RepairPlan {
  /// Nothing at all is to be removed while there are such: the index or the plan is damaged.
  std::vector<Finding> unrepairable;
  std::vector<std::string> remove;             ///< files below the cache, ascending
  std::map<std::string, std::string> restore;  ///< each track.json that is made again, and its text
  std::vector<std::string> abandoned;          ///< temporary files whose writers are gone, ascending; removed as well
  std::vector<std::string> relist;             ///< directories whose shards.json is made again
  std::vector<Finding> left;                   ///< what a person has to look at: remedies kMove and kImages, no file
  std::vector<Gap> gaps;
  /// The commands that fill the gaps, and make nothing else in passes that were whole. CONFIG.toml stands for the
  /// configuration that made the cache (CONFIG-TEACHER.xxxxxxxx.toml, where it has tracks of several),
  /// SOURCE for the cache that a recoded track was made from.
  std::vector<std::string> commands;
};

/// Changes nothing.
RepairPlan plan_repair(const std::filesystem::path& directory, const VerifyReport& report);

/// Removes the files of `plan` and makes track.json and shards.json again where it says so. Never removes a directory.
/// Throws Error when the plan is unrepairable, or a file cannot be removed; what was removed before stays so.
void carry_out(const std::filesystem::path& directory, const RepairPlan& plan);

}  // namespace vitrine

#endif  // VITRINE_COMMON_INSPECT_REPAIR_H_
