// Files and pipes that are read or written from front to back.
#ifndef VITRINE_TOOLS_PACK_STREAMS_H_
#define VITRINE_TOOLS_PACK_STREAMS_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "common/base/file_lock.h"

namespace vitrine {

/// Not thread-safe.
class InputStream {
 public:
  /// "-": standard input. Throws Error.
  explicit InputStream(const std::string& path);
  ~InputStream();
  InputStream(const InputStream&) = delete;
  InputStream& operator=(const InputStream&) = delete;

  /// The path, or "standard input".
  const std::string& name() const { return name_; }
  /// Of a regular file, from where it was opened; nullopt for a pipe.
  std::optional<std::uint64_t> size() const { return size_; }
  /// Bytes read and skipped.
  std::uint64_t position() const { return position_; }
  /// Fills `out` or stops at the end. Returns the number of bytes read. Throws Error if reading fails.
  std::size_t read(std::span<std::byte> out);
  /// Only of a regular file: the next read() begins `bytes` later.
  void skip(std::uint64_t bytes);

 private:
  std::string name_;
  int descriptor_ = -1;
  std::optional<std::uint64_t> size_;
  std::uint64_t position_ = 0;
};

/// Not thread-safe. Throws Error for every failure, with what to do.
class OutputStream {
 public:
  /// Standard output.
  OutputStream() = default;
  /// Opens for reading and writing, and creates the file if it is missing. Fails if another process has it open through
  /// this class.
  explicit OutputStream(const std::filesystem::path& path);

  bool is_standard_output() const { return !file_; }
  void write(std::span<const std::byte> bytes);
  void write(std::string_view bytes) { write(std::as_bytes(std::span(bytes.data(), bytes.size()))); }
  // Of a file:
  void truncate_and_seek(std::uint64_t bytes);
  /// Returns when all that was written is on the disk.
  void sync();

 private:
  std::string path_;
  std::optional<FileLock> file_;  // absent: standard output
  int descriptor_ = 1;
};

/// Puts `from`, a file or directory that is complete and on disk, in the place of `to`, which does not exist or is an
/// empty directory, and flushes the directory of both. Throws Error.
void move_into_place(const std::filesystem::path& from, const std::filesystem::path& to);

/// Locks a directory. Throws Error if another process holds it.
FileLock lock_directory(const std::filesystem::path& directory);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_STREAMS_H_
