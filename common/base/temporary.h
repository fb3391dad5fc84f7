// A directory that goes when its owner does.
#ifndef VITRINE_COMMON_BASE_TEMPORARY_H_
#define VITRINE_COMMON_BASE_TEMPORARY_H_

#include <filesystem>

namespace vitrine {

class TemporaryDirectory {
 public:
  /// Makes a directory of a new name below `place`; empty: below $TMPDIR, or /tmp where that is not set. Throws Error
  /// when none can be made there.
  explicit TemporaryDirectory(const std::filesystem::path& place = {});
  /// Removes it with all that it holds; what cannot be removed stays.
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
