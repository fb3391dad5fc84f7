// What `vitrine pilot` shows and leaves: what it will do, and the ranking.
#ifndef VITRINE_TOOLS_COMMANDS_PILOT_OUTCOME_H_
#define VITRINE_TOOLS_COMMANDS_PILOT_OUTCOME_H_

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tools/commands/pilot/trial.h"

namespace vitrine {

/// The best student's first, of equal ones in the order given.
void sort_by_student(std::vector<TrialResult>& trials);

/// Of sorted trials: a line each, and below it in words whether the first can be told apart from the others.
std::string ranking_table(const std::vector<TrialResult>& trials);
nlohmann::ordered_json ranking_json(const std::vector<TrialResult>& trials);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_PILOT_OUTCOME_H_
