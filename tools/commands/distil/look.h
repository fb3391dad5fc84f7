// What `vitrine distil` finds before it chooses anything: photos, the teacher and its top-1, and what the work costs on
// this machine.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_LOOK_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_LOOK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "common/teacher/class_name_match.h"
#include "tools/commands/cache/estimate_report.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"

namespace vitrine {

struct Found {
  DistilFacts facts;
  std::uint64_t photos = 0;    ///< files that begin as pictures do, with those held out
  std::string left_out;        ///< of the other files "3 sidecar, 1 hidden"; empty: there are none
  std::uint32_t classes = 0;   ///< class folders; 0 without labels
  double hold_out = 0;         ///< share of each folder's photos; 0: a validation folder is given
  std::uint64_t held_out = 0;  ///< photos, of that share
  std::string teacher;         ///< its name
  std::string teacher_file;    ///< of its weights, or the module; in the configurations, so that no program looks again
  std::uint32_t teacher_classes = 0;  ///< 0: it has no head
  std::optional<double> top1;         ///< of the teacher on some of the photos, in [0, 1]
  std::uint64_t evaluated = 0;        ///< photos behind top1
  std::string precision;              ///< the faster of those that the device has, for the student
  std::string teacher_precision;
  std::uint32_t last_block = 0;                     ///< the block whose features and attention are kept
  ClassNameMatch match = ClassNameMatch::kUnknown;  ///< of the teacher's class names and the folders
  std::vector<std::string> class_names;  ///< the teacher's, where they must be matched with the folders; else none
  ViewCosts costs;                       ///< of the extraction, for break_even_epochs()
  double others = 0;                     ///< share of the processors that other programs took while the work was timed
  std::vector<std::string> warnings;
};

/// Runs the teacher and the student for a few batches. Writes only into temporary directories: a sample of the cache
/// beside it, on its disk. Throws Error for photos, a teacher or a student's weights that cannot be used, and Stopped.
Found look(const DistilRequest& request, const StopFlag& stop);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_LOOK_H_
