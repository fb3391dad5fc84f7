// The configurations that `vitrine distil` writes and the programs then run.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_

#include <filesystem>
#include <string>

#include "tools/commands/distil/look.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"

namespace vitrine {

/// In the run: the configurations, and the teacher's class names, where they need them.
inline constexpr const char* kExtractFile = "extract.toml";
inline constexpr const char* kTrainFile = "train.toml";
inline constexpr const char* kBaselineFile = "baseline.toml";
inline constexpr const char* kClassNames = "teacher_classes.txt";

/// TOML for vitrine-extract, with the reasons as comments. All paths in it and the others are absolute, so that it does
/// not matter where the programs run. Throws Error for a path that is not UTF-8.
std::string extract_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);
/// TOML for vitrine-train.
std::string train_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);
/// The same network from labels alone, for as long as cache and student take together.
std::string baseline_configuration(const DistilRequest& request, const Found& found, const DistilChoice& choice);

/// Writes found.class_names, where there are any, into the file of `directory` that the configurations name.
void write_class_names(const std::filesystem::path& directory, const Found& found);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_CONFIGURATION_H_
