#include "common/base/files.h"

#include <dirent.h>
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
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <system_error>
#include <utility>

#include "common/base/error.h"
#include "common/base/hash.h"

namespace vitrine {
namespace {

// Separates a file's name from its writer: "NAME.part.HOST.PROCESS.RUN.COUNTER".
constexpr std::string_view kTempMarker = ".part.";

int open_or_fail(const std::string& path, int flags) {
  // O_NONBLOCK: opening a named pipe must not block; status_of() rejects it.
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) fail_system(errno, path, "cannot be opened", "check the path and its permissions");
  return descriptor;
}

struct stat status_of(int descriptor, const std::string& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) fail_system(errno, path, "cannot be examined");
  if (!S_ISREG(status.st_mode)) throw Error(ErrorKind::kInput, {.path = path, .what = "is not a regular file"});
  return status;
}

void flush(const std::filesystem::path& path, int flags) {
  const int descriptor = open_or_fail(path, flags);
  const int result = ::fsync(descriptor);
  const int reason = errno;
  ::close(descriptor);
  if (result != 0 && reason != EINVAL)
    fail_system(reason, path.string(), "cannot be flushed to the disk", "check the disk and run again");
}

// nullopt if the path does not exist.
std::optional<struct stat> status_at(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) == 0) return status;
  if (errno != ENOENT && errno != ENOTDIR)
    fail_system(errno, path.string(), "cannot be examined", "check the path and its permissions");
  return std::nullopt;
}

// Identifies a process-id namespace: host, boot and container.
const std::string& host_id() {
  static const std::string id = [] {
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
  return id;
}

// Distinguishes this process from an earlier one with the same process id.
const std::string& run_id() {
  static const std::string run = [] {
    std::random_device source;
    return hexadecimal(std::uint64_t{source()} << 32 | source());
  }();
  return run;
}

struct Writer {
  std::string host;
  pid_t process;
  std::string run;
};

// Parses "HOST.PROCESS.RUN.COUNTER".
std::optional<Writer> writer_of(std::string_view temporary) {
  const std::size_t process = temporary.find('.'),
                    run = process == std::string_view::npos ? process : temporary.find('.', process + 1);
  if (run == std::string_view::npos) return std::nullopt;
  Writer writer{std::string(temporary.substr(0, process)), 0, std::string(temporary.substr(run + 1))};
  const char* const end = temporary.data() + run;
  const auto [stopped, failure] = std::from_chars(temporary.data() + process + 1, end, writer.process);
  if (failure != std::errc() || stopped != end || writer.process <= 0) return std::nullopt;
  writer.run = writer.run.substr(0, writer.run.find('.'));
  return writer;
}

constexpr auto kStaleAge = std::chrono::hours(24);

// `stale`: the file was not written to for kStaleAge. A living process with the writer's id is then no evidence: the id
// may have been reused.
bool is_gone(const std::optional<Writer>& writer, bool stale) {
  if (!writer || writer->host != host_id()) return stale;
  if (writer->process == ::getpid()) return writer->run != run_id();
  return stale || (::kill(writer->process, 0) != 0 && errno == ESRCH);
}

// Owns a file name: the destructor removes the file unless it was renamed.
class TemporaryFile {
 public:
  explicit TemporaryFile(std::filesystem::path path) : path_(std::move(path)) {}
  ~TemporaryFile() { ::unlink(path_.c_str()); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Gives a temporary file its final name. With kKeep the existence check and the rename are atomic, as another process
// may be publishing the same file; on filesystems with neither RENAME_NOREPLACE nor hard links, check first.
bool rename_into_place(const std::filesystem::path& temporary, const std::filesystem::path& path, Existing existing) {
  const auto refuse = [&](int reason) {
    fail_system(reason, path.string(), "cannot be put in place", "check the directory's permissions and its disk");
  };
  if (existing == Existing::kKeep) {
    if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) return true;
    if (errno == EEXIST) return false;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP) refuse(errno);
    if (::link(temporary.c_str(), path.c_str()) == 0) return true;
    if (errno == EEXIST || ::access(path.c_str(), F_OK) == 0) return false;
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) refuse(errno);
  return true;
}

/// A device or a socket must not become a file.
void check_replaceable(const std::filesystem::path& path) {
  const auto status = status_at(path);
  if (status && !S_ISREG(status->st_mode))
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = S_ISDIR(status->st_mode) ? "is a directory" : "is not a regular file",
                                    .remedy = "give another path for the file"});
}

/// Runs `work`, whose errors of the temporary file name the file that it is to become.
void named_as(const std::filesystem::path& path, const std::string& temporary, const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& error) {
    Problem problem = error.problem();
    if (problem.path != temporary) throw;
    problem.path = path.string();
    throw Error(error.kind(), std::move(problem));
  }
}

}  // namespace

bool path_exists(const std::filesystem::path& path) {
  return status_at(path).has_value();
}

bool directory_exists(const std::filesystem::path& path) {
  const auto status = status_at(path);
  return status && S_ISDIR(status->st_mode);
}

bool file_exists(const std::filesystem::path& path) {
  const auto status = status_at(path);
  return status && S_ISREG(status->st_mode);
}

bool same_file(const std::filesystem::path& a, const std::filesystem::path& b) {
  const auto one = status_at(a), other = status_at(b);
  return one && other && one->st_dev == other->st_dev && one->st_ino == other->st_ino;
}

std::uint64_t file_bytes(const std::filesystem::path& path) {
  const auto status = status_at(path);
  if (!status) fail_system(ENOENT, path.string(), "cannot be examined", "check the path");
  return static_cast<std::uint64_t>(status->st_size);
}

std::vector<DirectoryEntry> list_directory(const std::filesystem::path& directory) {
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::opendir(directory.c_str()), ::closedir);
  if (!stream) fail_system(errno, directory.string(), "cannot be listed", "check the directory and its permissions");
  using Kind = DirectoryEntry::Kind;
  std::vector<DirectoryEntry> entries;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(stream.get());
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    Kind kind = entry->d_type == DT_REG ? Kind::kFile : entry->d_type == DT_DIR ? Kind::kDirectory : Kind::kOther;
    if (entry->d_type == DT_LNK || entry->d_type == DT_UNKNOWN) {
      struct stat status {};
      if (::fstatat(::dirfd(stream.get()), entry->d_name, &status, 0) == 0) {
        if (S_ISREG(status.st_mode)) kind = Kind::kFile;
        if (S_ISDIR(status.st_mode)) kind = Kind::kDirectory;
      } else if (errno == ENOENT || errno == ELOOP || errno == ENOTDIR) {
        struct stat link {};
        if (::fstatat(::dirfd(stream.get()), entry->d_name, &link, AT_SYMLINK_NOFOLLOW) != 0) continue;
        kind = Kind::kDangling;
      } else {
        fail_system(errno, (directory / name).string(), "cannot be examined", "check its permissions");
      }
    }
    entries.push_back({std::string(name), kind});
  }
  if (errno != 0) fail_system(errno, directory.string(), "cannot be listed completely", "check the disk and run again");
  std::ranges::sort(entries, {}, &DirectoryEntry::name);
  return entries;
}

// Fsyncs each parent, which holds the new directory's name.
void make_directories(const std::filesystem::path& directory) {
  if (directory.empty())
    throw Error(ErrorKind::kInput, {.what = "the path of a directory is empty", .remedy = "name a directory"});
  if (directory_exists(directory)) return;
  const std::filesystem::path parent = directory.has_parent_path() ? directory.parent_path() : ".";
  if (parent != directory) make_directories(parent);
  if (::mkdir(directory.c_str(), 0777) != 0) {
    const int reason = errno;
    if (reason == EEXIST && directory_exists(directory)) return;  // another process created it
    if (reason == EEXIST)
      throw Error(ErrorKind::kInput, {.path = directory.string(),
                                      .what = "exists and is not a directory",
                                      .remedy = "move it away or choose another path"});
    fail_system(reason, directory.string(), "cannot be created", "check the path, its permissions and its disk");
  }
  flush(parent, O_RDONLY | O_DIRECTORY);
}

void remove_file(const std::filesystem::path& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    fail_system(errno, path.string(), "cannot be removed", "check the directory's permissions");
}

void remove_directory(const std::filesystem::path& directory) {
  std::error_code failure;
  std::filesystem::remove_all(directory, failure);
  if (failure)
    fail_system(failure.value(), directory.string(), "cannot be removed", "check its permissions and its disk");
}

void rename_path(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0)
    fail_system(errno, from.string(), text("cannot be renamed to ", to.string()), "check the directory's permissions");
}

std::filesystem::path move_aside(const std::filesystem::path& path, const std::string& word) {
  // Strip a trailing slash: "run/" + ".old" would name a hidden entry inside the directory itself.
  const std::string plain = (path.has_filename() ? path : path.parent_path()).string();
  for (int number = 1;; ++number) {
    const std::filesystem::path to = plain + "." + word + (number == 1 ? "" : text(".", number));
    if (::renameat2(AT_FDCWD, plain.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return to;
    if (errno == EEXIST) continue;
    if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
      fail_system(errno, plain, text("cannot be renamed to ", to.string()), "check the directory's permissions");
    if (path_exists(to)) continue;
    rename_path(plain, to);
    return to;
  }
}

std::string read_file(const std::filesystem::path& path) {
  const ReadableFile file(path);
  std::string bytes(file.size(), '\0');
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

bool publish(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write,
             Existing existing) {
  static std::atomic<unsigned> counter{0};
  check_replaceable(path);
  const std::filesystem::path directory = path.has_parent_path() ? path.parent_path() : ".";
  make_directories(directory);
  bool placed = false;
  {
    const TemporaryFile temporary(
        text(path.string(), kTempMarker, host_id(), ".", ::getpid(), ".", run_id(), ".", counter++));
    named_as(path, temporary.path(), [&] {
      write(temporary.path());
      flush(temporary.path(), O_RDONLY);
    });
    placed = rename_into_place(temporary.path(), path, existing);
  }
  flush(directory, O_RDONLY | O_DIRECTORY);
  return placed;
}

bool publish(const std::filesystem::path& path, std::string_view bytes, Existing existing) {
  const auto write = [bytes](const std::filesystem::path& temporary) {
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (descriptor < 0)
      fail_system(errno, temporary.string(), "cannot be created", "check the directory's permissions and its disk");
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t written = ::write(descriptor, rest.data(), rest.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        const int reason = errno;
        ::close(descriptor);
        fail_system(reason, temporary.string(), "cannot be written",
                    "make room on its disk and run again, what was finished before stays");
      }
      rest.remove_prefix(static_cast<std::size_t>(written));
    }
    if (::close(descriptor) != 0)
      fail_system(errno, temporary.string(), "cannot be written", "check its disk and run again");
  };
  return publish(path, write, existing);
}

bool is_temporary_name(std::string_view name) {
  return name.find(kTempMarker) != std::string_view::npos;
}

std::vector<std::filesystem::path> abandoned_in(const std::filesystem::path& directory) {
  if (!directory_exists(directory)) return {};
  const auto now = std::chrono::system_clock::now();
  std::vector<std::filesystem::path> out;
  for (const DirectoryEntry& entry : list_directory(directory)) {
    if (!is_temporary_name(entry.name)) continue;
    struct stat status {};  // lstat: publish() never creates links
    if (::lstat((directory / entry.name).c_str(), &status) != 0 || !S_ISREG(status.st_mode)) continue;
    const std::string_view temporary =
        std::string_view(entry.name).substr(entry.name.rfind(kTempMarker) + kTempMarker.size());
    const std::optional<Writer> writer = writer_of(temporary);
    const bool stale = now - std::chrono::system_clock::from_time_t(status.st_mtime) > kStaleAge;
    if (is_gone(writer, stale)) out.push_back(directory / entry.name);
  }
  return out;  // sorted by list_directory()
}

void remove_abandoned(const std::filesystem::path& directory) {
  for (const std::filesystem::path& path : abandoned_in(directory))
    ::unlink(path.c_str());  // another process may have removed it
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
    if (mapped == MAP_FAILED) fail_system(reason, path.string(), "cannot be mapped into memory");
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
    if (count < 0)
      fail_system(errno, path_, text("reading at byte ", offset, " failed"), "check its disk and run again");
    if (count == 0)  // the file shrank after it was opened
      throw Error(offset < size_ ? ErrorKind::kIo : ErrorKind::kCorrupt,
                  {.path = path_,
                   .what = text("ends at byte ", offset, " where ", out.size(), " more bytes were expected"),
                   .remedy = "the file is truncated, copy or make it again"});
    offset += static_cast<std::uint64_t>(count);
    out = out.subspan(static_cast<std::size_t>(count));
  }
}

FileRecord describe_file(const std::filesystem::path& path) {
  const auto [bytes, hash] = xxh3_of_file(path);
  return {path.filename().string(), bytes, hash};
}

}  // namespace vitrine
