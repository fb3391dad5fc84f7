// pack.json, the first member of a pack: its files in order, each with size and hash.
#ifndef VITRINE_TOOLS_PACK_MANIFEST_H_
#define VITRINE_TOOLS_PACK_MANIFEST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/files.h"

namespace vitrine {

inline constexpr const char* kPackFile = "pack.json";
inline constexpr const char* kCardFile = "README.md";

/// Whether a pack may have a file of that path: README.md, index.h5, plan.json, index_record.json, left_out.tsv,
/// recipes/NNNNN.h5, recipes/shards.json, and below TEACHER.xxxxxxxx/ check.json, classes.json and TRACK/ with
/// track.json, basis.h5, shards.json and NNNNN.h5. No other path is ever written when a pack is unpacked.
bool is_pack_path(std::string_view path);

/// Immutable.
class PackManifest {
 public:
  /// `files`: name is the path in the pack. Throws std::logic_error unless all are pack paths, none of them twice.
  PackManifest(std::string plan_hash, std::vector<FileRecord> files);
  /// Parses text(). Throws Error, beginning with `where`: kCorrupt, or kNewer for a newer version.
  static PackManifest parse(const std::string& json, const std::string& where);

  const std::string& plan_hash() const { return plan_hash_; }
  /// In the order of the pack.
  const std::vector<FileRecord>& files() const { return files_; }
  /// The text of pack.json. Equal manifests give equal text.
  const std::string& json() const { return json_; }

  // The layout of the tar, which follows from the manifest.

  /// Header, pack.json itself and its padding.
  const std::string& head() const { return head_; }
  /// Where the header of file `i` begins; of files().size(): where the end of the archive begins.
  std::uint64_t offset(std::size_t i) const { return offsets_[i]; }
  std::uint64_t tar_bytes() const;

 private:
  std::string plan_hash_;
  std::vector<FileRecord> files_;
  std::string json_, head_;
  std::vector<std::uint64_t> offsets_;
};

}  // namespace vitrine

#endif  // VITRINE_TOOLS_PACK_MANIFEST_H_
