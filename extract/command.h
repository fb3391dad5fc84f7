// The command vitrine-extract, without its command line.
#ifndef VITRINE_EXTRACT_COMMAND_H_
#define VITRINE_EXTRACT_COMMAND_H_

#include "extract/options.h"

namespace vitrine {

/// Everything from the folder of images to the finished cache. Returns the exit code: 0, or 130 when a signal (SIGINT,
/// SIGTERM) stopped it between two shards. Throws Error for bad input, before anything is written where that can be
/// known.
int extract(const ExtractOptions& options);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_COMMAND_H_
