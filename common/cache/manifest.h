// shards.json: what a directory of shards (a track's, or recipes) should hold, each file with its size and the hash of
// all its bytes. The only file of a cache that is replaced: it grows with the directory, and everything in it can be
// made again from the files.
//
// No lock is taken. Whoever finishes lists the directory, publishes, and lists again until nothing is missing. A file
// that appears after somebody's last look belongs to a process that has yet to finish, so that the last one to finish
// always leaves a whole list, whoever else wrote or died in between.
#ifndef VITRINE_COMMON_CACHE_MANIFEST_H_
#define VITRINE_COMMON_CACHE_MANIFEST_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/base/stop.h"

namespace vitrine {

inline constexpr const char* kManifestName = "shards.json";

/// A finished file.
struct FileRecord {
  std::string name;         ///< "00012.h5"
  std::uint64_t bytes = 0;  ///< of the whole file
  std::uint64_t hash = 0;   ///< xxh3 of the whole file
  bool operator==(const FileRecord&) const = default;
};

/// Reads the file. Throws Error.
FileRecord describe_file(const std::filesystem::path& path);

/// Immutable.
class Manifest {
 public:
  Manifest() = default;
  /// Sorts by the shards' numbers. std::logic_error for a name that is no shard's, or one that is there twice.
  explicit Manifest(std::vector<FileRecord> files);
  /// `directory`/shards.json; nullopt when there is none. Throws Error when it is damaged.
  static std::optional<Manifest> read(const std::filesystem::path& directory);
  static Manifest parse(const std::string& json, const std::string& where);

  /// Ascending by number.
  const std::vector<FileRecord>& files() const { return files_; }
  /// nullptr when it is not listed.
  const FileRecord* find(const std::string& name) const;
  /// The text of shards.json: equal manifests give equal text.
  std::string json() const;
  bool operator==(const Manifest&) const = default;

 private:
  std::vector<FileRecord> files_;
};

/// Names, each list ascending by number.
struct ManifestDifference {
  std::vector<std::string> missing;   ///< listed, not there
  std::vector<std::string> unlisted;  ///< there, not listed
  std::vector<std::string> changed;   ///< there with another size or, where contents were read, another hash
  bool none() const { return missing.empty() && unlisted.empty() && changed.empty(); }
};

/// Holds the shards of a directory against its manifest. `contents`: also reads every listed file whole, one after the
/// other; without, sizes alone are looked at. Throws Error for what cannot be read.
ManifestDifference compare_manifest(const Manifest& manifest, const std::filesystem::path& directory, bool contents);

/// Publishes shards.json so that it lists exactly the shards that are there, unless it does already, and returns it.
/// Records come from `made` (what the caller itself has written), else from the manifest that is there when name and
/// size fit, else from reading the file. A directory without shards and without a manifest is left alone. Any number of
/// processes at once. Throws Error, and Stopped before a file is read once `stop` is set: the list is then as it was,
/// and the next one to finish makes it.
Manifest refresh_manifest(const std::filesystem::path& directory, const std::vector<FileRecord>& made = {},
                          const StopFlag& stop = never_stop());

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_MANIFEST_H_
