// vitrine-extract without its command line.
#ifndef VITRINE_EXTRACT_COMMAND_H_
#define VITRINE_EXTRACT_COMMAND_H_

#include <string>

#include "common/base/stop.h"
#include "extract/options.h"

namespace vitrine {

/// Which of the two steps of an extraction, prepare and run, a process executes.
struct ExtractMode {
  bool prepare_only = false;    ///< prepare and stop, whatever options.part says
  bool recipes_only = false;    ///< index, plan and recipes; no teacher is loaded, and no track made
  bool dry_run = false;         ///< check and describe everything, write nothing
  std::string prepare_command;  ///< command line that prepares this configuration, for messages
};

/// Prepares the cache if it is not prepared for these options (prepare/prepare.h), then makes the shards of
/// options.part (run/run.h). One of several parts does not prepare: it throws Error with mode.prepare_command if
/// preparation is missing. A configuration that contradicts the cache is an Error before any picture is read. Returns
/// the exit code: 0, or kStoppedExitCode when `stop` was set while shards were made. Throws Error for bad input, before
/// writing anything where possible, and Stopped when `stop` is set during the scan, the check on clean crops or the
/// calibration. The same call resumes with what is missing. With mode.dry_run it ends after all checks, without the
/// calibration.
int extract(const ExtractOptions& options, const ExtractMode& mode = {}, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMMAND_H_
