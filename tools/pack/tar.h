// Members of a tar file: POSIX ustar (IEEE 1003.1), with a pax header where a path is longer than 100 bytes or a file
// has 8 GiB or more. GNU tar, bsdtar and Python's tarfile read it.
//
// Written here rather than with libarchive: a pack's manifest comes first and determines every later byte of the tar,
// so that a reader compares headers and never interprets one. That is these two functions, and nothing that a hostile
// file could reach; libarchive would be a dependency of every build, and its reader would have to be restrained.
#ifndef VITRINE_TOOLS_PACK_TAR_H_
#define VITRINE_TOOLS_PACK_TAR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace vitrine {

inline constexpr std::size_t kTarBlock = 512;
/// Zero bytes at the end of a tar.
inline constexpr std::size_t kTarEndBytes = 2 * kTarBlock;

/// The header of a regular file: one block, or three and more with a pax header in front. A function of its arguments:
/// mode 0644, user and group 0 without names, time 2000-01-01 00:00:00 UTC.
std::string tar_header(std::string_view path, std::uint64_t bytes);

/// Zero bytes between a file's contents and the next block.
std::size_t tar_padding(std::uint64_t bytes);

/// What a block says that should be a header.
struct TarBlock {
  std::string what;         ///< "the file x", "a symbolic link x", "the end of the archive"; printable characters
  std::uint64_t bytes = 0;  ///< the size in a header; 0 where there is none
};

/// Reads any kTarBlock bytes. Never fails.
TarBlock read_tar_block(std::string_view block);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_TAR_H_
