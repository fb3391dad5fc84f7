// Every byte of a cache looked at: what is damaged, missing or in the wrong place, and what helps.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/inspect/finding.h"

namespace vitrine {

struct VerifyOptions {
  /// Tracks to look at: names ("logits"), or directories below the cache ("vit.0123abcd/logits"). Empty: all. The
  /// index, the plan and the recipes are always looked at.
  std::vector<std::string> tracks;
  /// The folder of images, to make one view of each group again and hold it against the stored hash. Empty: not done.
  std::filesystem::path images;
  std::filesystem::path
      unlabelled;        ///< with `images`: the folder of further images without labels, where there are any
  unsigned threads = 0;  ///< files in work at once; 0: one per core
};

/// A pass of which a directory holds some shards and lacks others, as a running or broken extraction leaves it. No
/// damage in itself: readers take whole passes alone.
struct IncompletePass {
  std::string directory;  ///< below the cache's: "recipes", "TEACHER.xxxxxxxx/NAME"
  std::uint32_t pass = 0;
  std::uint32_t missing = 0, shards = 0;  ///< shards that are not there, of so many in a pass
};

struct VerifyReport {
  bool opened = false;                     ///< whether index and plan could be read; without, files are looked at alone
  std::vector<Finding> findings;           ///< ascending, each once
  std::vector<IncompletePass> incomplete;  ///< ascending by directory and pass; none when the plan cannot be read
  std::uint64_t files = 0, bytes = 0;      ///< that were looked at, of every kind
  std::uint64_t groups = 0;                ///< of tracks, decoded
  std::uint64_t pictures = 0;              ///< made again from images
  std::uint64_t left_out = 0;              ///< views marked as left out: their pictures could not be had
  std::uint64_t unlisted = 0;  ///< shards that no shards.json lists, as a running or broken extraction leaves them
  std::vector<std::string> set_aside;  ///< files that a repair has taken out, below the cache, ascending; not looked at
};

/// Looks at:
///   - index.h5 and plan.json: read whole, and that they belong together;
///   - every .h5 of recipes and tracks: its table, both checksums of every frame, that it belongs to its place, HDF5's
///     view of it (only when the rest is right), and its size and hash in shards.json where that exists;
///   - recipes: each lies in its image and is the plan's own;
///   - tracks: every group decodes to finite values of its shape, and its recipes are there;
///   - what is called as a shard is but is no file;
///   - which shards a pass lacks that was begun.
/// What cannot be opened, read or listed is a finding as well, with the remedy kRetry, and so is what a newer version
/// wrote, with kNewer: neither is damage. Does not look at directories that are no part of a cache. Shows progress.
/// Throws Error for a directory that is no cache at all or cannot be listed, and for a track that is not there.
VerifyReport verify_cache(const std::filesystem::path& directory, const VerifyOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_H_
