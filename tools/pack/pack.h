// Writes a pack: the files of a cache as one tar (contents.h, tar.h), pack.json first. README.md here specifies it.
#ifndef VITRINE_TOOLS_PACK_PACK_H_
#define VITRINE_TOOLS_PACK_PACK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "common/base/stop.h"
#include "tools/pack/contents.h"
#include "tools/pack/manifest.h"

namespace vitrine {

/// End of the name of a file that pack() has not finished: "cache.tar.packing".
inline constexpr const char* kPackingEnd = ".packing";

struct Packed {
  std::uint64_t files = 0;    ///< without pack.json
  std::uint64_t bytes = 0;    ///< of the whole tar
  std::uint64_t resumed = 0;  ///< bytes of an earlier call that were kept; `bytes` if the pack was there already
};

/// Writes the pack of `files` as `out`, or to standard output if it is "-". The bytes depend only on `files`. Shows
/// progress.
///
/// A file is written as OUT.packing, and renamed when it is complete and on disk. A call that stops or fails leaves
/// OUT.packing, and the next one resumes after the last member in it that is whole: members up to the last
/// synchronisation point (every 256 MiB) are known to be on disk, later ones are read and compared with their hashes.
/// Where OUT.packing is of other files, as after a change of the cache, it is begun again. An `out` that holds this
/// pack is left as it is.
///
/// Throws Error: kCorrupt for a file whose contents differ from its record, kInput when `out` is another file or is
/// being written by another process; Stopped once `stop` is set.
Packed pack(const PackManifest& manifest, const std::vector<PackedFile>& files, const std::string& out,
            const StopFlag& stop = never_stop());

/// Whether `out` holds this pack already, as far as its size and its list tell. Throws Error when it is another file.
bool is_packed(const std::string& out, const PackManifest& manifest);

/// The manifest of these files.
PackManifest manifest_of(const std::string& plan_hash, const std::vector<PackedFile>& files);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_PACK_H_
