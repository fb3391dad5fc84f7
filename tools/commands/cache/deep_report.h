// Output of the results of verify --deep.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_DEEP_REPORT_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_DEEP_REPORT_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/commands/cache/deep_result.h"

namespace vitrine {

struct DeepReport {
  std::vector<DeepResult> results;
  std::string not_run;  ///< why no track was checked; empty if some were
};

/// "within", "beyond", "none", "not run".
const char* verdict_name(Verdict verdict);

/// One object per track.
nlohmann::ordered_json deep_json(const std::vector<DeepResult>& results);

/// A table of the tracks that were compared, then a line for each verdict that needs a reason.
void print_deep(const DeepReport& deep);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_DEEP_REPORT_H_
