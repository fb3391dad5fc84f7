#include "tools/commands/export/archive_file.h"

#include <cerrno>

#include "common/base/error.h"

namespace vitrine {

ArchiveFile::ArchiveFile(const std::filesystem::path& path) : path_(path), file_(path, std::ios::binary) {
  note_failure();
}

std::size_t ArchiveFile::write(const void* bytes, std::size_t size) {
  if (reason_ == 0) {
    file_.write(static_cast<const char*>(bytes), static_cast<std::streamsize>(size));
    note_failure();
  }
  return size;
}

void ArchiveFile::close() {
  if (reason_ == 0) {
    file_.close();
    note_failure();
  }
  if (reason_ != 0)
    fail_system(reason_, path_.string(), "cannot be written", "make room on its disk, or give a writable folder");
}

void ArchiveFile::note_failure() {
  if (!file_) reason_ = errno != 0 ? errno : EIO;
}

}  // namespace vitrine
