// Advisory locks between processes, with flock(2): a process that dies releases its locks.
#ifndef VITRINE_COMMON_BASE_FILE_LOCK_H_
#define VITRINE_COMMON_BASE_FILE_LOCK_H_

#include <filesystem>

namespace vitrine {

/// An open file or directory that can be locked. Movable; closing it, in the destructor, releases the lock. Not for
/// concurrent use. Locks are exclusive, and advisory: they hold back those who ask for them.
class FileLock {
 public:
  enum class Outcome {
    kLocked,
    kHeldByAnother,
    kNoLocks  ///< the file system has none
  };

  /// Opens an existing directory. Throws Error.
  static FileLock on_directory(const std::filesystem::path& directory);
  /// Opens a file for reading and appending, and creates it if missing; its directory must exist. Throws Error.
  static FileLock on_file(const std::filesystem::path& file);
  /// The same, but an existing file only: is_open() is false if it cannot be opened. Does not throw.
  static FileLock on_existing_file(const std::filesystem::path& file) noexcept;

  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&& other) noexcept;
  ~FileLock();

  bool is_open() const { return descriptor_ >= 0; }
  int descriptor() const { return descriptor_; }  ///< owned by this object
  /// Does not wait. Throws Error if the system fails otherwise.
  Outcome try_lock();
  /// Waits until the lock is held. On a file system without locks it returns at once.
  void wait();
  /// Whether what is open still has its path: another holder may have replaced or removed it before releasing the lock.
  bool has_its_name() const;

 private:
  FileLock(std::filesystem::path path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::filesystem::path path_;
  int descriptor_ = -1;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_FILE_LOCK_H_
