// Checks every byte of a cache: finds what is damaged, missing or misplaced, and its remedy.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_H_

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tools/inspect/finding.h"

namespace vitrine {

struct VerifyOptions {
  /// Tracks to check: names ("logits"), or directories relative to the cache ("vit.0123abcd/logits"). Empty: all.
  /// Index, plan and recipes are always checked.
  std::vector<std::string> tracks;
  /// The folder of images, to render one view of each group again and compare it with the stored hash. Empty: skip
  /// this.
  std::filesystem::path images;
  std::filesystem::path unlabelled;  ///< with `images`: the folder of additional unlabelled images, if any
  unsigned threads = 0;              ///< files checked at once; 0: one per core
};

/// A pass with some, but not all, shards in a directory, or with none although prepared.json names it: during or after
/// an interrupted extraction, or after shards or tracks were deleted. Not damage: readers only use complete passes.
struct IncompletePass {
  std::string directory;  ///< relative to the cache: "recipes", "TEACHER.xxxxxxxx/NAME"
  std::uint32_t pass = 0;
  std::uint32_t missing = 0, shards = 0;  ///< missing shards; shards per pass
};

struct VerifyReport {
  bool opened = false;            ///< index and plan could be read; otherwise files are only checked by themselves
  std::vector<Finding> findings;  ///< ascending, without duplicates
  std::vector<IncompletePass> incomplete;  ///< ascending by directory and pass; none when the plan cannot be read
  std::uint64_t files = 0, bytes = 0;      ///< checked, of every kind
  std::uint64_t tracks = 0;                ///< looked at; none where only the recipes are there
  std::uint64_t groups = 0;                ///< of tracks, decoded
  std::uint64_t pictures = 0;              ///< rendered again from images
  std::uint64_t lost = 0;                  ///< pictures not rendered: left_out.tsv names their images, which are lost
  std::uint64_t left_out = 0;              ///< views marked as left out
  std::uint64_t unlisted = 0;  ///< shards not listed in a shards.json, as during or after an interrupted extraction
  std::vector<std::string> set_aside;  ///< files set aside by a repair, relative to the cache, ascending
};

/// Checks:
///   - index.h5 and plan.json: intact, and the plan is of this index;
///   - prepared.json: intact, of this plan, and there if the cache was prepared;
///   - classes.json of the tracks' teachers: intact, there if logits record its names, and with these names;
///   - every .h5 of recipes and tracks: its table, both checksums of every frame, that it is in the right place, its
///     contents as seen by HDF5 (only if the rest is right), and its size and hash in shards.json if that exists;
///   - recipes: each is inside its image and equal to the plan's;
///   - tracks: every group decodes to finite values of its shape, and its recipes exist;
///   - entries with a shard's name that are not files;
///   - the missing shards of incomplete passes, those that prepared.json names included.
/// Files that cannot be opened, read or listed are findings with the remedy kRetry, files of a newer version with
/// kNewer; neither is damage. Ignores directories that are not part of a cache. Shows progress. Throws Error for a
/// directory that is not a cache or cannot be listed, and for a track that does not exist.
VerifyReport verify_cache(const std::filesystem::path& directory, const VerifyOptions& options);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_H_
