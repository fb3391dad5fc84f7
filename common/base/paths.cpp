#include "common/base/paths.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <system_error>

#include "common/base/error.h"
#include "common/base/files.h"

namespace vitrine {

namespace {

std::filesystem::path without_slash_at_end(const std::filesystem::path& path) {
  return path.has_filename() || path == path.root_path() ? path : path.parent_path();
}

void expect_followed(const std::error_code& failure, const std::filesystem::path& path) {
  if (failure) fail_system(failure.value(), path.string(), "cannot be followed", "check the path and its permissions");
}

}  // namespace

std::filesystem::path resolved_path(const std::filesystem::path& path) {
  if (path.empty()) return path;
  std::error_code failure;
  std::filesystem::path out = std::filesystem::absolute(path, failure);
  if (!failure) out = std::filesystem::weakly_canonical(out, failure);
  expect_followed(failure, path);
  return without_slash_at_end(out);
}

std::filesystem::path path_from_root(const std::filesystem::path& path) {
  if (path.empty()) return path;
  std::error_code failure;
  const std::filesystem::path out = std::filesystem::absolute(path, failure);
  expect_followed(failure, path);
  return without_slash_at_end(out.lexically_normal());
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

std::filesystem::path own_directory() {
  std::error_code failure;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failure);
  if (failure) fail_system(failure.value(), "/proc/self/exe", "cannot be read", "mount /proc");
  return self.parent_path();
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
