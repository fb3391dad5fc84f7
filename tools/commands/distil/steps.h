// The work of `vitrine distil` after it has chosen: the run's own files, and the programs that it calls.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_

#include <string>
#include <vector>

#include "tools/commands/distil/look.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"
#include "tools/commands/vitrine/steps.h"

namespace vitrine {

/// Writes the files of record_of(): extract.toml, train.toml, with labels baseline.toml, and class names if they are
/// needed.
void write_files(const DistilRequest& request, const Found& found, const DistilChoice& choice);

/// Extraction, training, if asked the baseline, export, report. The first ones resume where they were stopped, and do
/// nothing where they are finished; export and report are made anew. `own`: this program's argv[0].
std::vector<CommandStep> steps_of(const DistilRequest& request, const std::string& own);

/// The student's top-1, and the baseline's if there is one, with the weights that it is of, and the command that uses
/// the student; after run_steps().
/// `own`: this program's argv[0].
std::string summary_of(const DistilRequest& request, const std::string& own);

/// What was found and chosen, as tables for people.
std::string describe(const DistilRequest& request, const Found& found, const DistilChoice& choice);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_
