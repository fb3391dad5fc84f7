// Paths as the system sees them, however they were given.
#ifndef VITRINE_COMMON_BASE_PATHS_H_
#define VITRINE_COMMON_BASE_PATHS_H_

#include <filesystem>

namespace vitrine {

/// The path from the root, without ".", "..", symbolic links and a slash at its end, so that names beside it can be
/// made; what does not exist stays as given. Throws Error when the system cannot follow it.
std::filesystem::path resolved_path(const std::filesystem::path& path);

/// The path from the root, without ".", ".." and a slash at its end; symbolic links stay, and nothing need exist.
/// Throws Error.
std::filesystem::path path_from_root(const std::filesystem::path& path);

/// The path itself where it is a directory, else the nearest one above it that exists; resolved. Throws Error likewise.
std::filesystem::path nearest_directory(const std::filesystem::path& path);

/// Whether `path` is `directory` or is in it, both resolved; false for an empty directory.
bool is_within(const std::filesystem::path& path, const std::filesystem::path& directory);

/// The directory of the running program's file. Throws Error if the system does not tell it.
std::filesystem::path own_directory();

/// Whether something else is mounted at the path, so that it cannot be renamed or replaced.
bool is_mount_point(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_PATHS_H_
