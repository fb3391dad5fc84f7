// Lets one process at a time prepare a cache.
#ifndef VITRINE_EXTRACT_PREPARE_LOCK_H_
#define VITRINE_EXTRACT_PREPARE_LOCK_H_

#include <filesystem>
#include <optional>
#include <vector>

#include "common/base/file_lock.h"
#include "common/base/stop.h"

namespace vitrine {

/// RAII: holds flock on the file prepare.lock in the cache and removes the file at the end. A process that dies
/// releases the lock; the file it leaves is harmless.
class PrepareLock {
 public:
  /// Creates the cache's directory if missing, and waits, with a note, while another process holds the lock. On a file
  /// system without locks it prints a note and locks nothing: two processes that prepare the same cache at once still
  /// leave complete files. Throws Error, and Stopped while it waits.
  PrepareLock(const std::filesystem::path& cache, const StopFlag& stop);
  /// Also removes the directories that the constructor created if they are still empty.
  ~PrepareLock();
  PrepareLock(const PrepareLock&) = delete;
  PrepareLock& operator=(const PrepareLock&) = delete;

  /// Removes a lock file that a dead process left. Does not wait and does not throw.
  static void remove_abandoned(const std::filesystem::path& cache);

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // created directories, innermost first
  std::optional<FileLock> lock_;
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_LOCK_H_
