#include "common/base/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "common/base/error.h"

namespace vitrine {

FileLock FileLock::on_directory(const std::filesystem::path& directory) {
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_system(errno, directory.string(), "cannot be opened", "check the directory's permissions");
  return {directory, descriptor};
}

FileLock FileLock::on_file(const std::filesystem::path& file) {
  int descriptor = -1;
  do descriptor = ::open(file.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  while (descriptor < 0 && errno == EINTR);
  if (descriptor < 0)
    fail_system(errno, file.string(), "cannot be written", "check the directory's permissions and its disk");
  return {file, descriptor};
}

FileLock FileLock::on_existing_file(const std::filesystem::path& file) noexcept {
  return {file, ::open(file.c_str(), O_RDWR | O_CLOEXEC)};
}

FileLock::FileLock(FileLock&& other) noexcept
    : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)) {}

FileLock& FileLock::operator=(FileLock&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

FileLock::~FileLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

FileLock::Outcome FileLock::try_lock() {
  while (::flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return Outcome::kHeldByAnother;
    if (errno == ENOLCK || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return Outcome::kNoLocks;
    fail_system(errno, path_.string(), "cannot be locked", "check the disk that it is on");
  }
  return Outcome::kLocked;
}

void FileLock::wait() {
  while (::flock(descriptor_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

bool FileLock::has_its_name() const {
  struct stat opened {
  }, named{};
  return ::fstat(descriptor_, &opened) == 0 && ::stat(path_.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

}  // namespace vitrine
