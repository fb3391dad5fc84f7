// File input and output. Files that others may read are published: written under a temporary name, fsynced, renamed to
// the final name, and the directory fsynced. Readers see the whole file or no file.
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

/// Whether the path exists, following symbolic links; false for a dangling link. Unlike std::filesystem's, these throw
/// Error with the reason if the check itself fails (no permission, a symlink loop, an unreachable network disk).
bool path_exists(const std::filesystem::path& path);
bool directory_exists(const std::filesystem::path& path);
bool file_exists(const std::filesystem::path& path);  ///< regular files only
/// Whether both exist and are the same file or directory.
bool same_file(const std::filesystem::path& a, const std::filesystem::path& b);
std::uint64_t file_bytes(const std::filesystem::path& path);

struct DirectoryEntry {
  std::string name;
  /// Follows symbolic links. kOther: sockets, devices and so on; kDangling: a broken link.
  enum class Kind : std::uint8_t { kFile, kDirectory, kDangling, kOther } kind;
};
/// The entries of a directory, sorted bytewise by name. Entries that vanish during the call are omitted. Throws Error
/// if the directory cannot be listed.
std::vector<DirectoryEntry> list_directory(const std::filesystem::path& directory);

/// Creates the directory and missing parents and fsyncs each new name. Throws Error.
void make_directories(const std::filesystem::path& directory);
/// Removes a file if it exists. Throws Error if that fails.
void remove_file(const std::filesystem::path& path);
/// Removes a directory and all that is in it, if it exists; links in it are not followed. Throws Error.
void remove_directory(const std::filesystem::path& directory);
/// Renames a file or directory; replaces `to` if it is a file. Throws Error.
void rename_path(const std::filesystem::path& from, const std::filesystem::path& to);
/// Renames PATH to PATH.WORD, or to PATH.WORD.2 and so on if that name is taken, and returns the new name. Never
/// overwrites. Throws Error.
std::filesystem::path move_aside(const std::filesystem::path& path, const std::string& word);

/// The whole file. Throws Error with the reason.
std::string read_file(const std::filesystem::path& path);

/// What publish() does if `path` already exists, from before or because another process wrote it meanwhile.
enum class Existing {
  kReplace,  ///< replace it atomically
  kKeep      ///< keep it and discard the new file
};

/// Calls `write` with the path of a temporary file beside `path` (a name unique across processes, calls and machines),
/// then fsyncs it, renames it to `path` and fsyncs the directory, which it creates if missing. If `write` throws, the
/// temporary file is removed and the exception propagates; an Error about that file names `path`. Throws Error, before
/// `write`, if `path` exists and is no regular file. Returns whether `path` is now the new file: false only with kKeep.
bool publish(const std::filesystem::path& path, const std::function<void(const std::filesystem::path&)>& write,
             Existing existing = Existing::kReplace);
bool publish(const std::filesystem::path& path, std::string_view bytes, Existing existing = Existing::kReplace);

/// Whether `name` has the form of publish()'s temporary files.
bool is_temporary_name(std::string_view name);

/// Temporary files in `directory` that their writers left behind: those of processes of this machine (and container)
/// that no longer run, and those of any other process that were not written to for 24 hours. Sorted; empty for a
/// missing directory. Throws Error if the directory cannot be listed.
std::vector<std::filesystem::path> abandoned_in(const std::filesystem::path& directory);
/// Removes the files that abandoned_in() lists.
void remove_abandoned(const std::filesystem::path& directory);

/// Expected size and hash of a finished file.
struct FileRecord {
  std::string name;         ///< "00012.h5"
  std::uint64_t bytes = 0;  ///< of the whole file
  std::uint64_t hash = 0;   ///< xxh3 of the whole file
  bool operator==(const FileRecord&) const = default;
};

/// Reads the whole file. Throws Error.
FileRecord describe_file(const std::filesystem::path& path);

/// A whole file mapped read-only. Move-only; the bytes are valid as long as the object.
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
  ReadableFile() = default;  ///< no file open
  explicit ReadableFile(const std::filesystem::path& path) { open(path.string()); }
  ~ReadableFile();
  ReadableFile(ReadableFile&& other) noexcept { *this = std::move(other); }
  ReadableFile& operator=(ReadableFile&& other) noexcept;  ///< swaps
  /// Closes the open file, if any, and opens another; allocates only if the path is longer than any before. Throws
  /// Error, and then no file is open.
  void open(const std::string& path);
  std::uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }  ///< empty when no file is open
  /// Distinguishes files with the same path: changes when the file is replaced.
  std::uint64_t inode() const { return inode_; }
  /// Fills `out` starting at byte `offset`. Throws Error: kCorrupt if the file is too short, kIo if reading fails.
  void read(std::uint64_t offset, std::span<std::byte> out) const;

 private:
  void close();
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t size_ = 0, inode_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_FILES_H_
