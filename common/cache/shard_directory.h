// The numbered files of one directory (00000.h5, 00001.h5, ...): which are there, and their tables, read when first
// needed.
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

/// The largest number that a name has room for.
inline constexpr std::uint64_t kMaxShardNumber = 9'999'999'999;

/// The number in "00012.h5"; nullopt for a name that is no shard's ("0012.h5", "000012.h5", "00012.h5.part.7.0").
inline std::optional<std::uint64_t> shard_number_of(const std::string& name) {
  constexpr std::size_t kDigits = 5, kMaxDigits = 10;
  const std::size_t digits = name.find('.');
  if (digits == std::string::npos || digits < kDigits || digits > kMaxDigits || name.substr(digits) != ".h5" ||
      name.find_first_not_of("0123456789") != digits || (digits > kDigits && name[0] == '0'))
    return std::nullopt;
  return std::stoull(name);
}

/// The numbers of all entries of a directory that are called as a shard is, ascending: one listing, which looks at
/// links alone; those to nothing are left out. A missing directory has none. Throws Error when it cannot be listed.
std::vector<std::uint64_t> list_shard_numbers(const std::filesystem::path& directory);

/// "00012.h5".
std::string shard_file_name(std::uint64_t number);

class ShardDirectory {
 public:
  /// Called once for each file, when its table has been read; throws Error for a file that does not belong here.
  using Check = std::function<void(const Container&, std::uint64_t number)>;

  /// Lists the directory once and looks at no file; those that come later are not seen. A missing directory is an empty
  /// shard_directory. Whatever has a shard's name is counted, a directory too: open() then throws.
  ShardDirectory(std::filesystem::path directory, Check check);

  const std::filesystem::path& directory() const { return directory_; }
  std::uint64_t count() const { return slots_.size(); }
  const std::vector<std::uint64_t>& numbers() const { return numbers_; }  ///< ascending
  bool holds(std::uint64_t number) const { return slots_.contains(number); }
  /// The files' sizes, asked for one by one at the first call and remembered. What is no file, or is gone, has none.
  std::uint64_t stored_bytes() const;
  /// Throws Error when the file is missing, damaged or does not belong. Any thread; without a lock and O(1) once the
  /// file was opened. What it returns keeps the place of chunks alone: json() is empty, it was for the check.
  const Container& open(std::uint64_t number) const;
  /// Passes of which all shards are there, ascending.
  std::vector<std::uint32_t> complete_passes(const ShardLayout& layout) const;

 private:
  struct Slot {
    ~Slot() { delete container.load(); }
    std::atomic<const Container*> container = nullptr;  // set once, owned
  };
  std::filesystem::path directory_;
  Check check_;
  std::vector<std::uint64_t> numbers_;
  mutable std::unordered_map<std::uint64_t, Slot> slots_;  // its keys stay as the constructor made them
  mutable std::mutex opening_;
  mutable std::vector<std::shared_ptr<const Datasets>> datasets_;  // the different ones, under opening_
  mutable std::once_flag measured_;
  mutable std::uint64_t stored_bytes_ = 0;  // once measured_
};

inline constexpr const char* kManifestName = "shards.json";

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

#endif  // VITRINE_COMMON_CACHE_SHARD_DIRECTORY_H_
