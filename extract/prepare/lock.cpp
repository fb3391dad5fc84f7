#include "extract/prepare/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"

namespace vitrine {
namespace {

constexpr const char* kLockName = "prepare.lock";

enum class Outcome { kLocked, kHeldByAnother, kNoLocks };

Outcome try_lock(int descriptor, const std::filesystem::path& path) {
  while (::flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return Outcome::kHeldByAnother;
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return Outcome::kNoLocks;
    fail_system(errno, path.string(), "cannot be locked", "check the disk that the cache is on");
  }
  return Outcome::kLocked;
}

// Whether the open file is still at `path`: the previous holder may have removed it before releasing the lock.
bool has_its_name(int descriptor, const std::filesystem::path& path) {
  struct stat opened {
  }, named{};
  return ::fstat(descriptor, &opened) == 0 && ::stat(path.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

int open_lock(const std::filesystem::path& path) {
  constexpr int kTries = 100;
  for (int tried = 1;; ++tried) {
    make_directories(path.parent_path());
    const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor >= 0) return descriptor;
    // A process that failed may have removed the directory.
    if ((errno == EINTR || errno == ENOENT) && tried < kTries) continue;
    fail_system(errno, path.string(), "cannot be written", "make room on its disk and run again");
  }
}

}  // namespace

PrepareLock::PrepareLock(const std::filesystem::path& cache, const StopFlag& stop) : path_(cache / kLockName) {
  for (std::filesystem::path directory = std::filesystem::absolute(cache).lexically_normal();
       !directory.empty() && directory != directory.root_path() && !path_exists(directory);
       directory = directory.parent_path())
    if (directory.has_filename()) made_.push_back(directory);
  for (bool told = false; true;) {
    const int descriptor = open_lock(path_);
    try {
      const Outcome outcome = try_lock(descriptor, path_);
      if (outcome == Outcome::kNoLocks)
        note(text(cache.string(), ": its disk has no locks; do not prepare it from two processes at once"));
      if (outcome != Outcome::kHeldByAnother && has_its_name(descriptor, path_)) {
        descriptor_ = descriptor;
        return;
      }
      if (outcome == Outcome::kHeldByAnother) {
        if (!told) note(text(cache.string(), ": another process prepares this cache; waiting for it"));
        told = true;
        constexpr std::chrono::milliseconds kPause{100};
        throw_if_stopped(stop, "while waiting for another process that prepares the cache");
        std::this_thread::sleep_for(kPause);
      }
    } catch (...) {
      ::close(descriptor);
      throw;
    }
    ::close(descriptor);
  }
}

PrepareLock::~PrepareLock() {
  ::unlink(path_.c_str());  // before releasing the lock, so that a waiting process sees that the file is gone
  ::close(descriptor_);
  std::error_code in_use;
  for (const std::filesystem::path& directory : made_) std::filesystem::remove(directory, in_use);
}

void PrepareLock::remove_abandoned(const std::filesystem::path& cache) {
  const std::filesystem::path path = cache / kLockName;
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (descriptor < 0) return;
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0 && has_its_name(descriptor, path)) ::unlink(path.c_str());
  ::close(descriptor);
}

}  // namespace vitrine
