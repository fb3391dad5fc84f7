// One process prepares a cache at a time.
#ifndef VITRINE_EXTRACT_PREPARE_LOCK_H_
#define VITRINE_EXTRACT_PREPARE_LOCK_H_

#include <filesystem>
#include <vector>

#include "common/base/stop.h"

namespace vitrine {

/// The file prepare.lock in the cache, locked (flock) until the object is destroyed; then it is removed. A process that
/// dies lets go of the lock, and what is left of the file is harmless.
class PrepareLock {
 public:
  /// Makes the cache's directory where it is missing, and waits as long as another process holds the lock, which is
  /// said once (note). On a disk without locks nothing is locked, which is said too: two processes that prepare the
  /// same at once still leave whole files. Throws Error, and Stopped while it waits.
  PrepareLock(const std::filesystem::path& cache, const StopFlag& stop);
  /// Also removes the directories that the constructor made and nobody has put anything into.
  ~PrepareLock();
  PrepareLock(const PrepareLock&) = delete;
  PrepareLock& operator=(const PrepareLock&) = delete;

  /// Removes the file of a process that died, if there is one. Never waits, never throws.
  static void remove_abandoned(const std::filesystem::path& cache);

 private:
  std::filesystem::path path_;
  std::vector<std::filesystem::path> made_;  // directories, the innermost first
  int descriptor_ = -1;
};

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_PREPARE_LOCK_H_
