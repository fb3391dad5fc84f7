// The per-file checks of verify.h. Private to this room.
#ifndef VITRINE_TOOLS_INSPECT_VERIFY_FILES_H_
#define VITRINE_TOOLS_INSPECT_VERIFY_FILES_H_

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/image/lost_pictures.h"
#include "common/image/views.h"
#include "tools/inspect/finding.h"

namespace vitrine {

/// Collects findings. Thread-safe.
class Findings {
 public:
  explicit Findings(std::filesystem::path cache) : cache_(std::move(cache)) {}
  void add(Finding finding);
  /// `file`: a path that begins with the cache's directory.
  void add(const std::filesystem::path& file, const std::string& dataset, std::int64_t group, const std::string& what,
           Remedy remedy);
  /// Adds an error of `file`, with the remedy from remedy_of().
  void add(const std::filesystem::path& file, const Error& error, Remedy damaged, Remedy misplaced = Remedy::kRetry);
  /// Finding::file for a path that begins with the cache's directory.
  std::string name_of(const std::filesystem::path& file) const;
  /// Ascending, without duplicates.
  std::vector<Finding> sorted() const;

 private:
  std::filesystem::path cache_;
  mutable std::mutex mutex_;
  std::vector<Finding> findings_;
};

/// The given folder of images.
struct GivenImages {
  ViewMaker views;
  LostPictures lost;  ///< of those that the cache's left_out.tsv names
};

/// Checks a file's table, frames and contents as seen by HDF5. Returns whether all is right. `damaged`: the remedy for
/// wrong bytes.
bool check_container(const std::filesystem::path& path, Findings& findings, Remedy damaged);

/// A shard of a track, or of the recipes.
struct FileTask {
  std::filesystem::path path;
  std::uint64_t number;
  const Cache* cache;         ///< nullptr if it cannot be opened
  const TrackReader* reader;  ///< nullptr for recipes, and for a track that cannot be opened
  const Manifest* listed;     ///< of its directory; may be nullptr
  std::uint64_t bytes = 0;
};

struct FileCounts {
  std::atomic<std::uint64_t> groups = 0, pictures = 0;
  std::atomic<std::uint64_t> lost = 0;      ///< pictures that were not rendered, since their images are lost
  std::atomic<std::uint64_t> left_out = 0;  ///< views marked in recipes
};

/// Runs all checks on one file. `images` may be nullptr. Thread-safe.
void check_file(const FileTask& task, const GivenImages* images, Findings& findings, FileCounts& counts);

/// Runs check_file() and then `checked` for each task, on `threads` threads. Tasks start in order, so that concurrent
/// ones are neighbours: a pass's permutation is computed at most once per task, and once per pass if it has more files
/// than there are threads.
void check_files(const std::vector<FileTask>& tasks, const GivenImages* images, unsigned threads, Findings& findings,
                 FileCounts& counts, const std::function<void(const FileTask&)>& checked);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_FILES_H_
