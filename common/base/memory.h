// Available memory, and the allocator's treatment of freed memory.
#ifndef VITRINE_COMMON_BASE_MEMORY_H_
#define VITRINE_COMMON_BASE_MEMORY_H_

#include <cstdint>
#include <filesystem>
#include <optional>

namespace vitrine {

/// Bytes this process can still allocate without swapping or being killed: what the kernel counts as available, or less
/// if a control group (version 1 or 2) of the process or above it sets a limit. nullopt if the system does not report
/// it. `root`: directory that contains proc and sys/fs/cgroup.
std::optional<std::uint64_t> available_memory(const std::filesystem::path& root = "/");

/// Makes the allocator keep freed blocks instead of returning them to the kernel, which would zero each page again: a
/// training step frees and reallocates the same few hundred megabytes. Call in main() before other threads start; no
/// effect without glibc.
void keep_freed_memory();

}  // namespace vitrine

#endif  // VITRINE_COMMON_BASE_MEMORY_H_
