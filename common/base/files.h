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

/// Whether something has that name, symbolic links followed; a dangling link has nothing. Unlike std::filesystem's,
/// these throw Error with the reason where the answer cannot be had (no permission, a loop of links, a dead network
/// disk).
bool path_exists(const std::filesystem::path& path);
bool directory_exists(const std::filesystem::path& path);
bool file_exists(const std::filesystem::path& path);  ///< a regular one
/// Whether both exist and are the same file or directory.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);
std::uint64_t file_bytes(const std::filesystem::path& path);

struct DirectoryEntry {
  std::string name;
  /// Symbolic links followed. kOther: sockets, devices and so on; kDangling: a link to nothing.
  enum class Kind : std::uint8_t { kFile, kDirectory, kDangling, kOther } kind;
};
/// What a directory holds, sorted by name by bytes. Throws Error when it cannot be listed. An entry that vanishes
/// meanwhile is left out.
std::vector<DirectoryEntry> list_directory(const std::filesystem::path& directory);

/// Makes the directory and its parents where they are missing; each new name is flushed to the disk. Throws Error.
void make_directories(const std::filesystem::path& directory);
/// Removes a file if it is there. Throws Error when it stays.
void remove_file(const std::filesystem::path& path);
/// Renames a file or directory. Throws Error; `to` is replaced if it is a file.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);
/// Renames PATH to PATH.WORD, or to PATH.WORD.2 and so on where that name is taken, and returns the new name: nothing
/// is overwritten. Throws Error.
std::filesystem::path move_aside(const std::filesystem::path& path, const std::string& word);

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
/// no longer run, and those, of any other process, that nobody has written to for a day. Sorted; a missing directory
/// has none. Throws Error when it cannot be listed.
std::vector<std::filesystem::path> abandoned_in(const std::filesystem::path& directory);
/// Removes them.
void remove_abandoned(const std::filesystem::path& directory);

/// What a finished file is held against.
struct FileRecord {
  std::string name;         ///< "00012.h5"
  std::uint64_t bytes = 0;  ///< of the whole file
  std::uint64_t hash = 0;   ///< xxh3 of the whole file
  bool operator==(const FileRecord&) const = default;
};

/// Reads the file. Throws Error.
FileRecord describe_file(const std::filesystem::path& path);

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
  /// Fills `out` from byte `offset` on. Throws Error: kCorrupt when the file is shorter than that, kIo when reading
  /// fails.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  void close();
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, inode_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_FILES_H_
