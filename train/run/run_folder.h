// The directory of a run: finds an earlier run in it, and locks it during a run. An earlier run is never overwritten:
// the same configuration resumes it, another one is refused, and `restart` moves it aside.
#ifndef VITRINE_TRAIN_RUN_RUN_FOLDER_H_
#define VITRINE_TRAIN_RUN_RUN_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <optional>

#include "common/base/file_lock.h"
#include "train/run/checkpoint.h"
#include "train/run/options.h"

namespace vitrine {

/// The checkpoint in options.output to resume from; nothing when there is none or options.restart is set. Writes
/// nothing. Other files and folders may be there. Throws Error when output is empty or cannot be a directory, when it
/// holds a run of another configuration (all differences are named) or of a version with another layout, and when it
/// holds files of a run but no checkpoint. `options`: as_run().
std::optional<Checkpoint> run_to_resume(const TrainOptions& options);

/// Whether the directory contains files of a run in the present layout. A first checkpoint without last.json does not
/// count: a start that was interrupted left it.
bool holds_run(const std::filesystem::path& directory);

/// Locks the directory for this process; no effect on a file system without locks. Throws Error when another process
/// holds the lock.
FileLock lock_run(const std::filesystem::path& directory);

/// Prepares the run's directory, the first write to it: with options.restart moves the files of an earlier run to a new
/// directory OUTPUT.old (the user's other files stay), then writes config.toml from `options` as given by the user.
/// `resumed`: the result of run_to_resume(). Throws Error when another process trains there, or has trained there
/// since that call.
FileLock open_run_folder(const TrainOptions& options, const std::optional<Checkpoint>& resumed);

/// Renames the results of a run that finished after `steps` steps and is now extended: RunFiles::earlier_weights() and
/// earlier_summary().
void keep_earlier_end(const std::filesystem::path& directory, std::uint64_t steps);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_FOLDER_H_
