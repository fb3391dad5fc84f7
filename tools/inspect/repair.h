// What to take out of a damaged cache so that extraction fills the gaps, and what it has to fill. Only bytes that were
// read and are wrong are a reason to take a file out, and it is renamed, never removed.
#ifndef VITRINE_TOOLS_INSPECT_REPAIR_H_
#define VITRINE_TOOLS_INSPECT_REPAIR_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "tools/inspect/gap.h"
#include "tools/inspect/verify.h"

namespace vitrine {

struct RepairPlan {
  /// Nothing at all is to be changed while there are such: the index or the plan is damaged or cannot be read.
  std::vector<Finding> unrepairable;
  std::vector<std::string> set_aside;          ///< damaged files below the cache, ascending; renamed
  std::map<std::string, std::string> restore;  ///< each track.json that is made again, and its text
  std::vector<std::string> abandoned;          ///< temporary files whose writers are gone, ascending; removed
  std::vector<std::string> relist;             ///< directories whose shards.json is made again
  std::vector<Finding> left;  ///< what a person has to look at: remedies kMove, kImages, kRetry and kNewer
  std::vector<Gap> gaps;
  /// The commands that fill the gaps, and make nothing else in passes that were whole. CONFIG.toml stands for the
  /// configuration that made the cache (CONFIG-TEACHER.xxxxxxxx.toml, where it has tracks of several),
  /// SOURCE for the cache that a recoded track was made from.
  std::vector<std::string> commands;
};

/// Changes nothing. Throws Error for what cannot be read.
RepairPlan plan_repair(const std::filesystem::path& directory, const VerifyReport& report);

/// Renames the damaged files of `plan` to NAME.damaged (a number follows where that is taken), and makes track.json and
/// shards.json again where it says so, after the old ones were renamed. Removes nothing but abandoned temporary files.
/// Returns the new name of each file that was renamed. Throws Error when the plan is unrepairable, or a file cannot be
/// renamed; what was done before stays so.
std::map<std::string, std::string> carry_out(const std::filesystem::path& directory, const RepairPlan& plan);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_REPAIR_H_
