#include "common/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

#include "common/base/error.h"

namespace vitrine {
namespace {

constexpr std::string_view kAside = ".part.";

int open_or_fail(const std::string& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) fail(path, ": cannot be opened (", std::strerror(errno), "); check the path and its permissions");
  return descriptor;
}

struct stat status_of(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail(path, ": cannot be examined (", std::strerror(errno), ")");
  if (!S_ISREG(status.st_mode)) fail(path, ": is not a regular file");
  return status;
}

void flush(const std::filesystem::path& path, int flags) {
  const int descriptor = open_or_fail(path, flags);
  const int result = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (result != 0 && reason != EINVAL)
    fail(path.string(), ": cannot be flushed to the disk (", std::strerror(reason), ")");
}

// Each new directory's name is flushed too: it stands in its parent.
void make_directories(const std::filesystem::path& directory) {
  std::error_code failure;
  if (std::filesystem::is_directory(directory, failure)) return;
  const std::filesystem::path parent = directory.has_parent_path() ? directory.parent_path() : ".";
  if (parent != directory) make_directories(parent);
  std::filesystem::create_directory(directory, failure);  // another process may have made it: no failure
  if (failure) fail(directory.string(), ": cannot be made (", failure.message(), ")");
  flush(parent, O_RDONLY | O_DIRECTORY);
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const ReadableFile file(path);
  std::string bytes(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

void publish(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  make_directories(directory);
  std::error_code failure;
  const std::filesystem::path aside = text(path.string(), kAside, ::getpid(), ".", counter++);
  try {
    write(aside);
    flush(aside, O_RDONLY);
    std::filesystem::rename(aside, path, failure);
    if (failure) fail(path.string(), ": cannot be put in place (", failure.message(), ")");
    flush(directory, O_RDONLY | O_DIRECTORY);
  } catch (...) {
    std::filesystem::remove(aside, failure);
    throw;
  }
}

void publish(const std::filesystem::path& path, std::string_view bytes) {
  publish(path, [bytes](const std::filesystem::path& aside) {
    const int descriptor = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (descriptor < 0)
      fail(aside.string(), ": cannot be made (", std::strerror(errno),
           "); check the directory's permissions and its disk");
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t written = ::write(descriptor, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        ::close(descriptor);
        fail(aside.string(), ": cannot be written (", std::strerror(reason),
             "); make room on its disk and run again, what was finished before stays");
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::close(descriptor) != 0) fail(aside.string(), ": cannot be written (", std::strerror(errno), ")");
  });
}

void remove_abandoned(const std::filesystem::path& directory) {
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    const std::size_t at = name.rfind(kAside);
    if (at == std::string::npos) continue;
    const long process = std::strtol(name.c_str() + at + kAside.size(), nullptr, 10);
    const bool gone = process > 0 && ::kill(static_cast<pid_t>(process), 0) != 0 && errno == ESRCH;
    if (gone || process == ::getpid()) std::filesystem::remove(entry.path(), failure);
  }
}

MappedFile::MappedFile(const std::filesystem::path& path) {
  const int descriptor = open_or_fail(path, O_RDONLY);
  try {
    size_ = static_cast<std::size_t>(status_of(descriptor, path.string()).st_size);
  } catch (...) {
    ::close(descriptor);
    throw;
  }
  if (size_ > 0) {
    void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor, 0);
    const int reason = errno;
    ::close(descriptor);
    if (mapped == MAP_FAILED) fail(path.string(), ": cannot be mapped into memory (", std::strerror(reason), ")");
    data_ = static_cast<const std::byte*>(mapped);
  } else {
    ::close(descriptor);
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

ReadableFile::~ReadableFile() {
  close();
}

ReadableFile& ReadableFile::operator=(ReadableFile&& other) noexcept {
  path_.swap(other.path_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(size_, other.size_);
  std::swap(inode_, other.inode_);
  return *this;
}

void ReadableFile::close() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
  path_.clear();
}

void ReadableFile::open(const std::string& path) {
  close();
  descriptor_ = open_or_fail(path, O_RDONLY);
  try {
    const struct stat status = status_of(descriptor_, path);
    size_ = static_cast<std::uint64_t>(status.st_size);
    inode_ = status.st_ino;
    path_ = path;
  } catch (...) {
    close();
    throw;
  }
}

void ReadableFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  while (!out.empty()) {
    const ssize_t count = ::pread(descriptor_, out.data(), out.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path_, ": reading at byte ", offset, " failed (", std::strerror(errno), ")");
    if (count == 0)
      fail(path_, ": ends at byte ", offset, " where ", out.size(), " more bytes were expected; the file is truncated");
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

}  // namespace vitrine
