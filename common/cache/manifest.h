// shards.json: what a directory of shards (a track's, or recipes) should hold, each file with its size and the hash of
// all its bytes. The only file of a cache that is replaced: it grows with the directory, and everything in it can be
// made again from the files.
//
// Each process that makes shards also appends a line for each to a list of its own, shards.RUN.jsonl, so that nobody
// has to read a shard that another process made, and a killed process leaves word of what it finished. These lists are
// merged into shards.json and removed when all is there (merge_lists), or by who repairs a directory
// (refresh_manifest); what they lose in a race is read again, no more. Readers take both (Manifest::read_all).
//
// No lock is taken. refresh_manifest lists the directory, publishes, and lists again until nothing is missing.
#ifndef VITRINE_COMMON_CACHE_MANIFEST_H_
#define VITRINE_COMMON_CACHE_MANIFEST_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
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
  /// The same with the lists of processes that have not finished, or died, merged in; nullopt when there is no list of
  /// any kind. A file of which two lists say different things is not in it.
  static std::optional<Manifest> read_all(const std::filesystem::path& directory);
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

/// The list of one process in one directory of shards: shards.RUN.jsonl, one line per finished file. Not thread-safe.
class ShardLog {
 public:
  /// Nothing is made before the first append().
  explicit ShardLog(const std::filesystem::path& directory);
  /// Appends a line, after the file was published. Whoever merged the list meanwhile may have removed it: it begins
  /// anew. Throws Error.
  void append(const FileRecord& record) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct RefreshOptions {
  /// Whether listed sizes are held against the files', one look at each. Off: a listed name is believed.
  bool sizes = true;
  /// May be nullptr. Once it is true no file is read any more: those that no list names stay unlisted.
  const std::atomic<bool>* stop = nullptr;
};

/// Publishes shards.json so that it lists exactly the shards that are there, unless it does already, removes the lists
/// that it has merged, and returns it. Records come from `made` (what the caller itself has written), else from the
/// lists that are there, else from reading the file, which is said (note). A directory without shards and without a
/// manifest is left alone. Any number of processes at once. Throws Error.
Manifest refresh_manifest(const std::filesystem::path& directory, const std::vector<FileRecord>& made = {},
                          const RefreshOptions& options = {});

/// What one of several processes that make a directory's shards knows when its share is made.
struct OwnShare {
  std::vector<FileRecord> made = {};  ///< files that it has written: newer than what any list says of them
  /// Whether a shard of that number is of its share: only such files may be read.
  std::function<bool(std::uint64_t)> is_own;
  std::uint64_t first = 0, past = 0;        ///< numbers of the shards that all processes together make: [first, past)
  const std::atomic<bool>* stop = nullptr;  ///< as in RefreshOptions
};

/// Reads files of the own share that are in no list, which is said (note), and lists them. Then, when all shards of all
/// processes are there and every file of the directory is listed, merges the lists into shards.json, removes them and
/// returns true; otherwise they stay, and who finishes last merges them. Files of others are never opened. Any number
/// of processes at once. Throws Error.
bool merge_lists(const std::filesystem::path& directory, const OwnShare& share);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_MANIFEST_H_
