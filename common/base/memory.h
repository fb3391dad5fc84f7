// How much memory there is, and how the process treats what it frees.
#ifndef VITRINE_COMMON_BASE_MEMORY_H_
#define VITRINE_COMMON_BASE_MEMORY_H_

#include <cstdint>
#include <filesystem>
#include <optional>

namespace vitrine {

/// Bytes that this process can still take without anybody being put out or killed: what the kernel counts as available,
/// or less where a control group (version 1 or 2) of the process or above it sets a limit. Nothing where the system
/// does not say. `root`: where proc and sys/fs/cgroup are looked for.
std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

/// From now on freed blocks stay with the process for the next ones, instead of going back to the kernel, which would
/// clear each page again: a training step frees and takes the same few hundred megabytes. For main() of programs that
/// repeat themselves, before other threads start; does nothing where the C library is not glibc.
void keep_freed_memory();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_MEMORY_H_
