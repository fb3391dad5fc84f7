#include "common/base/paths.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {

std::filesystem::path resolved_path(const std::filesystem::path& path) {
  if (path.empty()) return path;
  std::error_code failure;
  std::filesystem::path out = std::filesystem::absolute(path, failure);
  if (!failure) out = std::filesystem::weakly_canonical(out, failure);
  if (failure) fail_system(failure.value(), path.string(), "cannot be followed", "check the path and its permissions");
  return out.has_filename() || out == out.root_path() ? out : out.parent_path();
}

std::filesystem::path nearest_directory(const std::filesystem::path& path) {
  std::filesystem::path out = resolved_path(path);
  while (!directory_exists(out) && out.has_relative_path()) out = out.parent_path();
  return out;
}

bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory) {
  const std::filesystem::path inner = resolved_path(path), outer = resolved_path(directory);
  return !outer.empty() && std::ranges::mismatch(outer, inner).in1 == outer.end();
}

bool is_mount_point(const std::filesystem::path& path) {
  struct statx status {};
  if (::statx(AT_FDCWD, path.c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &status) != 0) return false;
  if ((status.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0)
    return (status.stx_attributes & STATX_ATTR_MOUNT_ROOT) != 0;
  struct statx above {};  // an older kernel, which does not know what is mounted on the same disk
  return S_ISDIR(status.stx_mode) &&
         ::statx(AT_FDCWD, (path / "..").c_str(), AT_NO_AUTOMOUNT, STATX_BASIC_STATS, &above) == 0 &&
         (status.stx_dev_major != above.stx_dev_major || status.stx_dev_minor != above.stx_dev_minor);
}

}  // namespace vitrine
