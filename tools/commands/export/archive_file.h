// The file of an archive that PyTorch writes.
#ifndef VITRINE_TOOLS_COMMANDS_EXPORT_ARCHIVE_FILE_H_
#define VITRINE_TOOLS_COMMANDS_EXPORT_ARCHIVE_FILE_H_

#include <cstddef>
#include <filesystem>
#include <fstream>

namespace vitrine {

/// PyTorch's writer of archives throws in its destructor where a write fails, which ends the program. So this file
/// takes all bytes, and close() tells what became of them.
class ArchiveFile {
 public:
  explicit ArchiveFile(const std::filesystem::path& path);
  /// Returns `size`.
  std::size_t write(const void* bytes, std::size_t size);
  /// Throws Error if the file could not be opened or written.
  void close();

 private:
  void note_failure();

  std::filesystem::path path_;
  std::ofstream file_;
  int reason_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_COMMANDS_EXPORT_ARCHIVE_FILE_H_
