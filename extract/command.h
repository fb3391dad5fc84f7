// The command vitrine-extract, without its command line.
#ifndef VITRINE_EXTRACT_COMMAND_H_
#define VITRINE_EXTRACT_COMMAND_H_

#include <string>

#include "common/base/stop.h"
#include "extract/options.h"

namespace vitrine {

/// Which of the two acts a process plays.
struct ExtractActs {
  bool prepare_only = false;    ///< whatever the options say about a part
  std::string prepare_command;  ///< that prepares this configuration, for a message
};

/// From the folder of images to the shards of options.part: prepares the cache where it is not prepared for these
/// options (prepare/prepare.h), then makes shards (run/run.h). One of several parts does not prepare: it throws Error
/// with acts.prepare_command where something is missing. A configuration that contradicts the cache is refused before
/// pictures are looked at. Returns the exit code: 0, or kStoppedExitCode when `stop` was set between two shards. Throws
/// Error for bad input, before anything is written where that can be known, and Stopped when `stop` is set in anything
/// else that takes its time (the scan, the check on clean crops, the calibration). The same call goes on with what is
/// missing.
int extract(const ExtractOptions& options, const ExtractActs& acts = {}, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMMAND_H_
