// The numbered files of one directory (00000.h5, 00001.h5, ...) and their tables, read on first use; the manifest
// shards.json.
#ifndef VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_
#define VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "common/base/files.h"
#include "common/base/stop.h"
#include "common/cache/container.h"
#include "common/plan/shard_layout.h"

namespace vitrine {

/// The largest number that fits into a file name.
inline constexpr std::uint64_t kMaxShardNumber = 9'999'999'999;

/// The number in "00012.h5"; nullopt for any other name ("0012.h5", "000012.h5", "00012.h5.part.7.0").
inline std::optional<std::uint64_t> shard_number_of(const std::string& name) {
  constexpr std::size_t kDigits = 5, kMaxDigits = 10;
  const std::size_t digits = name.find('.');
  if (digits == std::string::npos || digits < kDigits || digits > kMaxDigits || name.substr(digits) != ".h5" ||
      name.find_first_not_of("0123456789") != digits || (digits > kDigits && name[0] == '0'))
    return std::nullopt;
  return std::stoull(name);
}

/// The numbers of all directory entries with a shard's name, ascending. Lists the directory once and examines only
/// symbolic links; dangling ones are skipped. Empty for a missing directory. Throws Error when it cannot be listed.
std::vector<std::uint64_t> list_shard_numbers(const std::filesystem::path& directory);

/// "00012.h5".
std::string shard_file_name(std::uint64_t number);

class ShardDirectory {
 public:
  /// Called once per file after its table has been read; throws Error for a file that does not belong here.
  using Check = std::function<void(const Container&, std::uint64_t number)>;

  /// Lists the directory once and opens no file; files added later are not seen. A missing directory counts as empty.
  /// Every entry with a shard's name is counted, even a directory; open() then throws.
  ShardDirectory(std::filesystem::path directory, Check check);

  const std::filesystem::path& directory() const { return directory_; }
  std::uint64_t count() const { return slots_.size(); }
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }  ///< ascending
  bool holds(std::uint64_t number) const { return slots_.contains(number); }
  /// Total file size. The first call queries every file, later ones return the same value. Entries that are not files,
  /// or no longer exist, count as 0.
  std::uint64_t stored_bytes() const;
  /// Throws Error when the file is missing, damaged or fails the check. Thread-safe; lock-free and O(1) after the
  /// file's first open. The result's json() is empty, as only the check uses it.
  const Container& open(std::uint64_t number) const;
  /// Passes with all shards present, ascending.
  std::vector<std::uint32_t> complete_passes(const ShardLayout& layout) const;

 private:
  struct Slot {
    ~Slot() { delete container.load(); }
    std::atomic<const Container*> container = nullptr;  // set once, owned
  };
  std::filesystem::path directory_;
  Check check_;
  std::vector<std::uint64_t> numbers_;
  mutable std::unordered_map<std::uint64_t, Slot> slots_;  // its keys never change after construction
  mutable std::mutex opening_;
  mutable std::vector<std::shared_ptr<const Datasets>> datasets_;  // the distinct ones, guarded by opening_
  mutable std::once_flag measured_;
  mutable std::uint64_t stored_bytes_ = 0;  // set under measured_
};

inline constexpr const char* kManifestName = "shards.json";

/// Immutable.
class Manifest {
 public:
  Manifest() = default;
  /// Sorts by shard number. Throws std::logic_error for a name that is not a shard's and for duplicates.
  explicit Manifest(std::vector<FileRecord> files);
  /// `directory`/shards.json; nullopt when it does not exist. Throws Error when it is damaged.
  static std::optional<Manifest> read(const std::filesystem::path& directory);
  /// The same, merged with the logs of processes that are still running or died; nullopt when there are no lists at
  /// all. Files with conflicting records are left out.
  static std::optional<Manifest> read_all(const std::filesystem::path& directory);
  static Manifest parse(const std::string& json, const std::string& where);

  /// Ascending by number.
  const std::vector<FileRecord>& files() const { return files_; }
  /// nullptr when `name` is not listed.
  const FileRecord* find(const std::string& name) const;
  /// The text of shards.json. Equal manifests give equal text.
  std::string json() const;
  bool operator==(const Manifest&) const = default;

 private:
  std::vector<FileRecord> files_;
};

/// Names, each list ascending by number.
struct ManifestDifference {
  std::vector<std::string> missing;   ///< listed, but do not exist
  std::vector<std::string> unlisted;  ///< exist, but not listed
  std::vector<std::string> changed;   ///< size differs or, if contents were read, the hash
  bool none() const { return missing.empty() && unlisted.empty() && changed.empty(); }
};

/// Compares the shards of a directory with its manifest. `contents`: also reads and hashes every listed file,
/// sequentially; otherwise compares only sizes. Throws Error for what cannot be read.
ManifestDifference compare_manifest(const Manifest& manifest, const std::filesystem::path& directory, bool contents);

/// The log of one process in one directory of shards: shards.RUN.jsonl, one line per finished file. Not thread-safe.
class ShardLog {
 public:
  /// Creates nothing before the first append().
  explicit ShardLog(const std::filesystem::path& directory);
  /// Appends a line; call it after the file was published. Creates the log again if another process merged and removed
  /// it. Throws Error.
  void append(const FileRecord& record) const;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

struct RefreshOptions {
  /// Compare listed sizes with the files', one stat() each. Off: trust listed names.
  bool sizes = true;
  /// May be nullptr. Once true, no more files are read, and files without a record stay unlisted.
  const std::atomic<bool>* stop = nullptr;
};

/// Publishes a shards.json that lists exactly the existing shards, unless it already does, removes the logs that it
/// merged, and returns it. A file's record comes from `made` (files written by the caller), else from the existing
/// lists, else from reading the file, which is reported with note(). Leaves a directory without shards and manifest
/// unchanged. Safe for concurrent processes. Throws Error.
Manifest refresh_manifest(const std::filesystem::path& directory, const std::vector<FileRecord>& made = {},
                          const RefreshOptions& options = {});

/// What one of several processes that make a directory's shards knows when its share is made.
struct OwnShare {
  std::vector<FileRecord> made = {};  ///< files that it has written
  /// Whether a shard of that number is of its share: only such files may be read.
  std::function<bool(std::uint64_t)> is_own;
  std::uint64_t first = 0, past = 0;        ///< numbers of the shards that all processes together make: [first, past)
  const std::atomic<bool>* stop = nullptr;  ///< as in RefreshOptions
};

/// Reads files of the own share that are in no list, which is said (note), and lists them. Then, when all shards of all
/// processes are there and every file of the directory is listed, merges the lists into shards.json, removes them and
/// returns true; otherwise they stay, and who finishes last merges them. Files of others are never opened, except those
/// of which two lists say different things: recipes that were replaced. Any number of processes at once. Throws Error.
bool merge_lists(const std::filesystem::path& directory, const OwnShare& share);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_
