// Files in and out. A file that others may read is published: written aside, flushed to the disk, renamed over its
// name, its directory flushed. A reader meets the whole file or none.
#ifndef VITRINE_COMMON_BASE_FILES_H_
#define VITRINE_COMMON_BASE_FILES_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vitrine {

/// The whole file. Throws Error with the reason.
std::string read_file(const std::filesystem::path& path);

/// What becomes of a file that has the name already, whether it was there before or came while this one was written.
enum class Existing {
  kReplace,  ///< replaced in one step
  kKeep      ///< stays, and what was written is dropped
};

/// Calls `write` with the path of a temporary file beside `path` (same directory, a name that no other process or call
/// has, on any machine), then fsyncs it, gives it the name `path` and fsyncs the directory. Makes the directory when it
/// is missing. When `write` throws, the temporary file is removed and the exception goes on. Returns whether `path` is
/// now what was written: false only with kKeep.
bool publish(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write,
             Existing existing = Existing::kReplace);
bool publish(const std::filesystem::path& path, std::string_view bytes, Existing existing = Existing::kReplace);

/// Whether publish() gives such names to its temporary files.
bool is_temporary_name(std::string_view name);

/// Temporary files in `directory` that died with their writers: those of processes of this machine (and container) that
/// no longer run, and those of other machines that nobody has written to for a day. Sorted; a missing directory has
/// none.
std::vector<std::filesystem::path> abandoned_in(const std::filesystem::path& directory);
/// Removes them.
void remove_abandoned(const std::filesystem::path& directory);

/// A whole file mapped read-only. Moves, does not copy; the bytes live as long as the object.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  std::span<const std::byte> bytes() const { return {data_, size_}; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A file opened for positioned reads. Reading is thread-safe and takes no lock.
class ReadableFile {
 public:
  ReadableFile() = default;  ///< none yet
  explicit ReadableFile(const std::filesystem::path& path) { open(path.string()); }
  ~ReadableFile();
  ReadableFile(ReadableFile&& other) noexcept { *this = std::move(other); }
  ReadableFile& operator=(ReadableFile&& other) noexcept;  ///< exchanges the two
  /// Closes what was open and opens another file; allocates only when the path is longer than any before. Throws Error,
  /// and then none is open.
  void open(const std::string& path);
  std::uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }  ///< empty when none is open
  /// Tells files apart whose path is the same: another number after the file was replaced.
  std::uint64_t inode() const { return inode_; }
  /// Fills `out` from byte `offset` on. Throws Error when the file ends before, or on a read error.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  void close();
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, inode_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_FILES_H_
