// The work of `vitrine distil` after it has chosen: the run's own files, and the programs that it calls.
#ifndef VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_
#define VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/file_lock.h"
#include "common/base/stop.h"
#include "tools/commands/distil/look.h"
#include "tools/commands/distil/request.h"
#include "tools/commands/distil/rules.h"

namespace vitrine {

/// Whether request.out holds the files of an earlier call with the same request. Throws Error if it holds those of
/// another request (every difference is named) or anything else.
bool begun(const DistilRequest& request);

/// The run's lock, after write_files(). Throws Error if another process holds it.
FileLock lock_of(const DistilRequest& request);

/// Writes extract.toml, train.toml, with labels baseline.toml, and last distil.json, which marks them complete.
void write_files(const DistilRequest& request, const Found& found, const DistilChoice& choice);

/// A program to run: vitrine-NAME with arguments.
struct DistilStep {
  std::string title;  ///< for people
  std::string name;
  std::vector<std::string> arguments;
};

/// Extraction, training, if asked the baseline, export, report. Each resumes where it was stopped, and does nothing
/// where it is finished. `screen`: options of extraction and training that choose how notes and progress appear.
std::vector<DistilStep> steps_of(const DistilRequest& request, const std::vector<std::string>& screen = {});

/// Runs them in order. `directory`: where the programs are; `own`: this program's argv[0]; `command`: what resumes.
/// Once `stop` is set no further one is started. Returns the exit code of the first that fails, else 0.
int run_steps(const std::vector<DistilStep>& steps, const std::filesystem::path& directory, const std::string& own,
              const std::string& command, const StopFlag& stop);

/// The student's top-1, and the baseline's if there is one, and the command that uses the student; after run_steps().
std::string summary_of(const DistilRequest& request);

/// What was found and chosen, as tables for people.
std::string describe(const DistilRequest& request, const Found& found, const DistilChoice& choice);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_DISTIL_STEPS_H_
