// Findings as verify and repair print them.
#ifndef VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_
#define VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "tools/inspect/finding.h"

namespace vitrine {

/// A table: file, dataset, group, what is wrong, what to do. Nothing for no findings.
void print_findings(const std::vector<Finding>& findings);

/// A list of objects: file, dataset (null: the whole file), group (likewise), what, remedy.
nlohmann::ordered_json findings_json(const std::vector<Finding>& findings);

/// A line on the files that a repair has set aside. Nothing for none.
void print_set_aside(const std::vector<std::string>& files);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_CACHE_FINDINGS_H_
