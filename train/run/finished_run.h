// A run that is finished: its result, and what to say when its command now names other images.
#ifndef VITRINE_TRAIN_RUN_FINISHED_RUN_H_
#define VITRINE_TRAIN_RUN_FINISHED_RUN_H_

#include <optional>
#include <string>

#include "train/run/options.h"
#include "train/run/run_result.h"

namespace vitrine {

/// Where evaluated images are, for a run's record: the same for every way to write the path.
std::string place_of(ImageFolders folders);

/// The result of the run in options.output if it is finished and has these options (compared as in run_settings.h);
/// otherwise nothing. Reads only its JSON files. Throws Error for files that options name and that cannot be read.
std::optional<TrainResult> finished_run(const TrainOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_FINISHED_RUN_H_
