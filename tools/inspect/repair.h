// Plans the repair of a damaged cache: which files to set aside, and which gaps an extraction must fill. A file is set
// aside only if its bytes were read and are wrong, and it is renamed, never deleted.
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
  /// If not empty, nothing may be changed: the index or the plan is damaged or cannot be read.
  std::vector<Finding> unrepairable;
  std::vector<std::string> set_aside;          ///< damaged files, relative to the cache, ascending; to be renamed
  std::map<std::string, std::string> restore;  ///< each track.json to rebuild, and its text
  std::vector<std::string> abandoned;          ///< temporary files whose writers are gone, ascending; to be deleted
  std::vector<std::string> relist;             ///< directories whose shards.json is to be rebuilt
  std::vector<Finding>
      left;  ///< needs manual action: remedies kMove, kImages, kRetry, kNewer, and kCopy of classes.json
  std::vector<Gap> gaps;
  /// Commands that fill the gaps and add nothing else to complete passes, preceded by the one that prepares the cache
  /// again if its prepared.json is damaged or missing. CONFIG.toml stands for the configuration of the extraction
  /// (CONFIG-TEACHER.xxxxxxxx.toml if the cache has several teachers), SOURCE for the cache that a recoded track was
  /// made from.
  std::vector<std::string> commands;
  std::vector<std::string> rewritten;  ///< tracks with gaps that their own programs fill (GapFilling)
};

/// Changes nothing. Throws Error for what cannot be read.
RepairPlan plan_repair(const std::filesystem::path& directory, const VerifyReport& report);

/// Renames the damaged files of `plan` to NAME.damaged (with a number if that exists), and then rebuilds track.json and
/// shards.json where planned. Deletes only abandoned temporary files. Returns the new name of each renamed file. Throws
/// Error when the plan is unrepairable, or a file cannot be renamed; completed steps are not undone.
std::map<std::string, std::string> carry_out(const std::filesystem::path& directory, const RepairPlan& plan);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_REPAIR_H_
