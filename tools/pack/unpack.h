// Makes a cache of a pack, and checks packs.
#ifndef VITRINE_TOOLS_PACK_UNPACK_H_
#define VITRINE_TOOLS_PACK_UNPACK_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "common/base/stop.h"

namespace vitrine {

/// End of the name of a directory that unpack() has not finished: "cache.unpacking".
inline constexpr const char* kUnpackingEnd = ".unpacking";

struct Unpacked {
  std::uint64_t files = 0, bytes = 0;  ///< of the pack, without pack.json
  std::uint64_t kept = 0;              ///< files that an earlier call had written
};

/// Makes the cache `to` of the pack in the file `from`, or in standard input if it is "-". Shows progress.
///
/// The files are written into TO.unpacking, each under a temporary name until its hash is right and it is on disk; when
/// all are there and the cache can be opened, TO.unpacking is renamed. A call that stops or fails leaves TO.unpacking
/// with the files that are proven good, and the next one of the same pack keeps these. A `to` that was unpacked from
/// this pack is left as it is. Only paths that a cache may have are written (is_pack_path), whatever the file says.
///
/// Throws Error: as PackReader; kInput when `to` is another directory or file, or is being written by another process;
/// Stopped once `stop` is set.
Unpacked unpack(const std::string& from, const std::filesystem::path& to, const StopFlag& stop = never_stop());

/// What unpack() would write, from the pack's list alone: `kept` is 0, or all files where TO was unpacked from this
/// pack. Writes nothing. Throws Error where unpack() would before it reads the first file.
Unpacked check_unpack(const std::string& from, const std::filesystem::path& to);

/// A file that differs from the list of a pack.
struct PackDifference {
  std::string path, what;  ///< "is missing", "has 17 of 4096 bytes", "its contents differ"
};

struct PackCheck {
  std::uint64_t files = 0, bytes = 0;
  std::vector<PackDifference> differences;  ///< only of a directory; the first fault of a file is thrown
};

/// Reads every byte of a pack, in a file or standard input ("-"), and writes nothing; or of a directory that any tar
/// has made of one, whose pack.json lists the files. Throws Error as PackReader.
PackCheck check_pack(const std::string& from, const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_UNPACK_H_
