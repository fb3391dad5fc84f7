// The configurations that `vitrine distil` writes and the programs then run.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_

#include <string>

#include "tools/commands/distil/look.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"

namespace vitrine {

/// In the run: the teacher's class names, where a configuration needs them.
inline constexpr const char* kClassNames = "teacher_classes.txt";
/// How the first line of each configuration begins.
inline constexpr const char* kWrittenByDistil = "# Written by vitrine distil";

/// TOML for vitrine-extract, with the reasons as comments.
std::string extract_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);
/// TOML for vitrine-train.
std::string train_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);
/// The same network from labels alone, for as long as cache and student take together.
std::string baseline_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_
