#include "extract/prepare/lock.h"

#include <unistd.h>

#include <chrono>
#include <system_error>
#include <thread>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/paths.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

constexpr const char* kLockName = "prepare.lock";

FileLock open_lock(const std::filesystem::path& path) {
  constexpr int kTries = 100;
  for (int tried = 1;; ++tried) {
    make_directories(path.parent_path());
    try {
      return FileLock::on_file(path);
    } catch (const Error& error) {
      // A process that failed may have removed the directory.
      if (error.kind() != ErrorKind::kInput || tried == kTries) throw;
    }
  }
}

}  // namespace

PrepareLock::PrepareLock(const std::filesystem::path& cache, const StopFlag& stop) : path_(cache / kLockName) {
  for (std::filesystem::path directory = path_from_root(cache);
       !directory.empty() && directory != directory.root_path() && !path_exists(directory);
       directory = directory.parent_path())
    made_.push_back(directory);
  for (bool told = false; true;) {
    FileLock lock = open_lock(path_);
    const FileLock::Outcome outcome = lock.try_lock();
    if (outcome == FileLock::Outcome::kNoLocks)
      note(text(cache.string(), ": its disk has no locks; do not prepare it from two processes at once"));
    if (outcome != FileLock::Outcome::kHeldByAnother && lock.has_its_name()) {
      lock_ = std::move(lock);
      return;
    }
    if (outcome != FileLock::Outcome::kHeldByAnother) continue;
    if (!told) note(text(cache.string(), ": another process prepares this cache; waiting for it"));
    told = true;
    constexpr std::chrono::milliseconds kPause{100};
    throw_if_stopped(stop, "while waiting for another process that prepares the cache");
    std::this_thread::sleep_for(kPause);
  }
}

PrepareLock::~PrepareLock() {
  ::unlink(path_.c_str());  // before releasing the lock, so that a waiting process sees that the file is gone
  lock_.reset();
  std::error_code in_use;
  for (const std::filesystem::path& directory : made_) std::filesystem::remove(directory, in_use);
}

void PrepareLock::remove_abandoned(const std::filesystem::path& cache) {
  const std::filesystem::path path = cache / kLockName;
  FileLock lock = FileLock::on_existing_file(path);
  if (!lock.is_open()) return;
  try {
    if (lock.try_lock() == FileLock::Outcome::kLocked && lock.has_its_name()) ::unlink(path.c_str());
  } catch (const Error&) {
    return;  // a disk that fails; the file is harmless
  }
}

}  // namespace vitrine
