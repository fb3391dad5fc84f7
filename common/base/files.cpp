#include "common/base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"

namespace vitrine {
namespace {

// A name's part after which its writer follows: place, process, run and a number.
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

// Where process numbers mean the same: a machine since it was started, and in it a container.
const std::string& this_place() {
  static const std::string place = [] {
    std::string boot(36, '0');
    const int descriptor = ::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (descriptor >= 0) {
      if (::read(descriptor, boot.data(), boot.size()) < 0) boot.clear();
      ::close(descriptor);
    }
    struct stat space {};
    if (::stat("/proc/self/ns/pid", &space) != 0) space.st_ino = 0;
    std::array<char, 256> host{};
    ::gethostname(host.data(), host.size() - 1);
    return hexadecimal(xxh3(text(boot, ' ', space.st_ino, ' ', host.data())));
  }();
  return place;
}

// Tells this process from another one that had its number before.
const std::string& this_run() {
  static const std::string run = [] {
    std::random_device source;
    return hexadecimal(std::uint64_t{source()} << 32 | source());
  }();
  return run;
}

struct Writer {
  std::string place;
  pid_t process;
  std::string run;
};

// From "PLACE.PROCESS.RUN.COUNTER".
std::optional<Writer> writer_of(std::string_view aside) {
  const std::size_t process = aside.find('.'),
                    run = process == std::string_view::npos ? process : aside.find('.', process + 1);
  if (run == std::string_view::npos) return std::nullopt;
  Writer writer{std::string(aside.substr(0, process)), 0, std::string(aside.substr(run + 1))};
  const char* const end = aside.data() + run;
  const auto [stopped, failure] = std::from_chars(aside.data() + process + 1, end, writer.process);
  if (failure != std::errc() || stopped != end || writer.process <= 0) return std::nullopt;
  writer.run = writer.run.substr(0, writer.run.find('.'));
  return writer;
}

// Gives the file its name. With kKeep no instant passes between looking and naming: another process may be doing the
// same. Where a filesystem can do neither, looking first is the best there is.
bool put_in_place(const std::filesystem::path& aside, const std::filesystem::path& path, Existing existing) {
  const auto refuse = [&](int reason) {
    fail(path.string(), ": cannot be put in place (", std::strerror(reason),
         "); check the directory's permissions and its disk");
  };
  if (existing == Existing::kKeep) {
    if (::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno == EEXIST) return false;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) refuse(errno);
    if (::link(aside.c_str(), path.c_str()) == 0) {
      ::unlink(aside.c_str());
      return true;
    }
    if (errno == EEXIST || ::access(path.c_str(), F_OK) == 0) return false;
  }
  if (::rename(aside.c_str(), path.c_str()) != 0) refuse(errno);
  return true;
}

}  // namespace

std::string read_file(const std::filesystem::path& path) {
  const ReadableFile file(path);
  std::string bytes(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

bool publish(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write,
             Existing existing) {
  static std::atomic<unsigned> counter{0};
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  make_directories(directory);
  std::error_code failure;
  const std::filesystem::path aside =
      text(path.string(), kAside, this_place(), ".", ::getpid(), ".", this_run(), ".", counter++);
  try {
    write(aside);
    flush(aside, O_RDONLY);
    const bool placed = put_in_place(aside, path, existing);
    if (!placed) std::filesystem::remove(aside, failure);
    flush(directory, O_RDONLY | O_DIRECTORY);
    return placed;
  } catch (...) {
    std::filesystem::remove(aside, failure);
    throw;
  }
}

bool publish(const std::filesystem::path& path, std::string_view bytes, Existing existing) {
  const auto write = [bytes](const std::filesystem::path& aside) {
    const int descriptor = ::open(aside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
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
    if (::close(descriptor) != 0)
      fail(aside.string(), ": cannot be written (", std::strerror(errno), "); check its disk and run again");
  };
  return publish(path, write, existing);
}

bool is_temporary_name(std::string_view name) {
  return name.find(kAside) != std::string_view::npos;
}

std::vector<std::filesystem::path> abandoned_in(const std::filesystem::path& directory) {
  constexpr auto kForgotten = std::chrono::hours(24);
  std::vector<std::filesystem::path> out;
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(directory, failure)) {
    const std::string name = entry.path().filename().string();
    if (!is_temporary_name(name)) continue;
    const std::optional<Writer> writer = writer_of(std::string_view(name).substr(name.rfind(kAside) + kAside.size()));
    bool gone = false;
    if (writer && writer->place == this_place()) {
      gone =
          writer->process == ::getpid() ? writer->run != this_run() : ::kill(writer->process, 0) != 0 && errno == ESRCH;
    } else {
      const auto written = entry.last_write_time(failure);
      gone = !failure && std::filesystem::file_time_type::clock::now() - written > kForgotten;
    }
    if (gone) out.push_back(entry.path());
  }
  std::ranges::sort(out);
  return out;
}

void remove_abandoned(const std::filesystem::path& directory) {
  std::error_code failure;  // another process may have removed it
  for (const std::filesystem::path& path : abandoned_in(directory)) std::filesystem::remove(path, failure);
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
