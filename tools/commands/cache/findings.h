// Output of findings, for verify and repair.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/inspect/finding.h"

namespace vitrine {

/// Prints a table: file, dataset, group, what is wrong, what to do. Prints nothing without findings.
void print_findings(const std::vector<Finding>& findings);

/// An array of objects: file, dataset (null: the whole file), group (likewise), what, remedy.
nlohmann::ordered_json findings_json(const std::vector<Finding>& findings);

/// Prints a line about files that a repair has set aside. Prints nothing without files.
void print_set_aside(const std::vector<std::string>& files);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_
