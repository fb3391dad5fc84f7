#include "tools/pack/streams.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {
namespace {

constexpr const char* kMakeRoom = "make room on its disk and run the same command again to resume";

// On a file system without locks the file is written without one.
FileLock taken(FileLock lock, const std::string& path) {
  if (lock.try_lock() == FileLock::Outcome::kHeldByAnother)
    throw Error(ErrorKind::kInput,
                {.path = path, .what = "another process is writing it", .remedy = "wait until that has ended"});
  return lock;
}

}  // namespace

InputStream::InputStream(const std::string& path) : name_(path == "-" ? "standard input" : path) {
  descriptor_ = path == "-" ? ::dup(0) : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0) fail_system(errno, name_, "cannot be opened", "check the path and its permissions");
  struct stat status {};
  if (::fstat(descriptor_, &status) != 0 || S_ISDIR(status.st_mode)) {
    const int reason = S_ISDIR(status.st_mode) ? EISDIR : errno;
    ::close(descriptor_);
    fail_system(reason, name_, "cannot be read", "expected a file written by vitrine-cache pack");
  }
  const off_t start = ::lseek(descriptor_, 0, SEEK_CUR);
  if (S_ISREG(status.st_mode) && start >= 0 && start <= status.st_size)
    size_ = static_cast<std::uint64_t>(status.st_size - start);
}

InputStream::~InputStream() {
  ::close(descriptor_);
}

std::size_t InputStream::read(std::span<std::byte> out) {
  std::size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(descriptor_, out.data() + done, out.size() - done);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail_system(errno, name_, text("reading at byte ", position_ + done, " failed"), "check its disk and run again");
    if (count == 0) break;
    done += static_cast<std::size_t>(count);
  }
  position_ += done;
  return done;
}

void InputStream::skip(std::uint64_t bytes) {
  if (::lseek(descriptor_, static_cast<off_t>(bytes), SEEK_CUR) < 0) fail_system(errno, name_, "cannot be read");
  position_ += bytes;
}

OutputStream::OutputStream(const std::filesystem::path& path) : path_(path.string()) {
  make_directories(path.has_parent_path() ? path.parent_path() : ".");
  file_ = taken(FileLock::on_file(path), path_);
  descriptor_ = file_->descriptor();
}

void OutputStream::write(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0 && is_standard_output()) fail_system(errno, "standard output", "cannot be written");
    if (written < 0) fail_system(errno, path_, "cannot be written", kMakeRoom);
    bytes = bytes.subspan(static_cast<std::size_t>(written));
  }
}

void OutputStream::truncate_and_seek(std::uint64_t bytes) {
  if (::ftruncate(descriptor_, static_cast<off_t>(bytes)) != 0 ||
      ::lseek(descriptor_, static_cast<off_t>(bytes), SEEK_SET) < 0)
    fail_system(errno, path_, "cannot be written", "check its disk and permissions");
}

void OutputStream::sync() {
  if (::fdatasync(descriptor_) != 0 && errno != EINVAL)
    fail_system(errno, path_, "cannot be flushed to the disk", kMakeRoom);
}

void move_into_place(const std::filesystem::path& from, const std::filesystem::path& to) {
  rename_path(from, to);
  const std::filesystem::path parent = to.has_parent_path() ? to.parent_path() : ".";
  const int descriptor = ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) fail_system(errno, parent.string(), "cannot be opened");
  const int result = ::fsync(descriptor), reason = errno;
  ::close(descriptor);
  if (result != 0 && reason != EINVAL) fail_system(reason, parent.string(), "cannot be flushed to the disk");
}

FileLock lock_directory(const std::filesystem::path& directory) {
  return taken(FileLock::on_directory(directory), directory.string());
}

}  // namespace vitrine
