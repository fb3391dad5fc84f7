// The command vitrine-extract, without its command line.
#ifndef VITRINE_EXTRACT_COMMAND_H_
#define VITRINE_EXTRACT_COMMAND_H_

#include "common/base/stop.h"
#include "extract/options.h"

namespace vitrine {

/// Everything from the folder of images to the finished cache. Returns the exit code: 0, or kStoppedExitCode when
/// `stop` was set between two shards. Throws Error for bad input, before anything is written where that can be known,
/// and Stopped when `stop` is set in anything else that takes its time (the scan, the check on clean crops, the
/// calibration, the last listing). The same call goes on with what is missing.
int extract(const ExtractOptions& options, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMMAND_H_
