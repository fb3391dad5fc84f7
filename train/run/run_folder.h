// The directory of a run: what it holds when a run begins, and whose it is while one goes on. Nothing that an earlier
// run left is overwritten: the same configuration goes on with it, another one is refused, and `restart` moves it
// aside.
#ifndef VITRINE_TRAIN_RUN_RUN_FOLDER_H_
#define VITRINE_TRAIN_RUN_RUN_FOLDER_H_

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>

#include "train/run/checkpoint.h"
#include "train/run/options.h"

namespace vitrine {

/// The run in options.output that is to go on; nothing where there is none or options.restart puts it aside. Writes
/// nothing. Throws Error when there is no output, when it cannot be a directory, when it holds a run of another
/// configuration (all differences are named), and when it holds what a run left without the checkpoint to go on from.
/// `options`: as_run().
std::optional<Checkpoint> run_to_go_on_with(const TrainOptions& options);

/// Whether something that a run leaves lies there.
bool holds_run(const std::filesystem::path& directory);

/// The directory as one process's own. On a file system without locks it is nobody's.
class RunLock {
 public:
  /// Throws Error when another process trains there.
  explicit RunLock(const std::filesystem::path& directory);
  ~RunLock();
  RunLock(const RunLock&) = delete;
  RunLock& operator=(const RunLock&) = delete;

 private:
  int descriptor_ = -1;
};

/// Makes the directory of a run ready, which until here is as it was: options.restart moves aside what is there, and
/// config.toml becomes `options`, as they were given. `resumed`: the run to go on with, as run_to_go_on_with() gave it.
/// Throws Error when another process trains there, or has since.
std::unique_ptr<RunLock> open_run_folder(const TrainOptions& options, const std::optional<Checkpoint>& resumed);

/// A run that ended after `steps` and goes on to a longer schedule: its final weights and summary become
/// final-STEPS.safetensors and summary-STEPS.json.
void keep_earlier_end(const std::filesystem::path& directory, std::uint64_t steps);

}  // namespace vitrine

#endif  // VITRINE_TRAIN_RUN_RUN_FOLDER_H_
