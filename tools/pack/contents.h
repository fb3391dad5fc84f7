// What a pack of a cache holds.
#ifndef VITRINE_TOOLS_PACK_CONTENTS_H_
#define VITRINE_TOOLS_PACK_CONTENTS_H_

#include <filesystem>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/cache/cache.h"
#include "tools/pack/manifest.h"

namespace vitrine {

/// Names ("logits") or directories ("vit.0123abcd/logits") of tracks; empty: all.
using TrackNames = std::vector<std::string>;

/// The tracks of these names, in the cache's order. Throws Error for a name without a track, and for a track that
/// cannot be read.
std::vector<TrackInfo> chosen_tracks(const Cache& cache, const TrackNames& names);

struct PackedFile {
  FileRecord record;             ///< name: the path in the pack
  std::filesystem::path source;  ///< empty: `text` is the contents
  std::string text;
};

/// The files of a pack, in reading order: card, index, plan, settings and lists of all tracks, then shard by shard the
/// recipes and every track's targets. The index's record is marked as copied. Left out: prepared.json, which only an
/// extraction needs, temporary files, those that a repair has set aside, and unknown ones. A function of the cache's
/// files.
///
/// Sizes and hashes of shards are those that their writers recorded; files without a record are read. The tables of all
/// shards are read and checked. Throws Error: of kind kInput, naming the commands that finish the extraction, when
/// shards of these tracks are missing, unless `unfinished`; kCorrupt when a file's size differs from its record.
std::vector<PackedFile> pack_contents(const Cache& cache, const TrackNames& names, bool unfinished);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_CONTENTS_H_
