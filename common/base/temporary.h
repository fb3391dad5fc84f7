// A directory that is removed with its owner.
#ifndef VITRINE_COMMON_BASE_TEMPORARY_H_
#define VITRINE_COMMON_BASE_TEMPORARY_H_

#include <filesystem>

namespace vitrine {

class TemporaryDirectory {
 public:
  /// Creates a directory with a new name below `place`; if empty, below $TMPDIR, or /tmp if that is not set. Throws
  /// Error if it cannot be created.
  explicit TemporaryDirectory(const std::filesystem::path& place = {});
  /// Removes it recursively; files that cannot be removed are left.
  ~TemporaryDirectory();
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(const std::filesystem::path& name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_TEMPORARY_H_
