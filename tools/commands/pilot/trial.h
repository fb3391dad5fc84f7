// The trial of one teacher: its top-1, a cache of a few groups, a student, and the student's answers.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_TRIAL_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_TRIAL_H_

#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "tools/commands/pilot/rank.h"
#include "tools/commands/pilot/request.h"
#include "tools/commands/vitrine/steps.h"

namespace vitrine {

struct TrialResult {
  std::string name, config;       ///< PilotTeacher's
  std::string teacher;            ///< its own name
  std::optional<double> top1;     ///< of the teacher on the held-out pictures; nothing without a head
  std::optional<double> core_ms;  ///< of the teacher, processor time for one picture
  double view_bytes = 0;          ///< of the cache
  StudentAnswers answers;         ///< of the student
};

/// Files of a trial, in OUT/NAME.
inline constexpr const char* kTeacherFile = "teacher.json";
inline constexpr const char* kResultFile = "result.json";

/// What is left of the trial: nothing when it has a result. `own`: this program's argv[0].
std::vector<CommandStep> steps_of(const PilotRequest& request, const PilotTeacher& teacher, const std::string& own,
                                  const StopFlag& stop);

/// The result of a finished trial. Throws Error if it is damaged.
TrialResult result_of(const PilotRequest& request, const PilotTeacher& teacher);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_TRIAL_H_
