// The parts of verify.h, file by file. Private to this room.
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
#include "common/image/views.h"
#include "tools/inspect/finding.h"

namespace vitrine {

/// Collects findings from many threads.
class Findings {
 public:
  explicit Findings(std::filesystem::path cache) : cache_(std::move(cache)) {}
  void add(Finding finding);
  /// `file`: with the cache's directory before it.
  void add(const std::filesystem::path& file, const std::string& dataset, std::int64_t group, const std::string& what,
           Remedy remedy);
  /// What was wrong with `file`, with the remedies of remedy_of().
  void add(const std::filesystem::path& file, const Error& error, Remedy damaged, Remedy misplaced = Remedy::kRetry);
  /// Finding::file of a path with the cache's directory before it.
  std::string name_of(const std::filesystem::path& file) const;
  /// Ascending, each once.
  std::vector<Finding> sorted() const;

 private:
  std::filesystem::path cache_;
  mutable std::mutex mutex_;
  std::vector<Finding> findings_;
};

/// Table, frames and HDF5's view of a file. Returns whether all is right. `damaged`: what helps when bytes are wrong.
bool check_container(const std::filesystem::path& path, Findings& findings, Remedy damaged);

/// A shard of a track, or of the recipes.
struct FileTask {
  std::filesystem::path path;
  std::uint64_t number;
  const Cache* cache;         ///< nullptr when it does not open
  const TrackReader* reader;  ///< nullptr for recipes, and for a track that does not open
  const Manifest* listed;     ///< of its directory; may be nullptr
  std::uint64_t bytes = 0;
};

struct FileCounts {
  std::atomic<std::uint64_t> groups = 0, pictures = 0;
  std::atomic<std::uint64_t> left_out = 0;  ///< views that the recipes mark so
};

/// Everything about one file. `views` may be nullptr. Any thread.
void check_file(const FileTask& task, const ViewMaker* views, Findings& findings, FileCounts& counts);

/// check_file() for all, on so many threads, then `checked`, on the same thread. Tasks are given out one by one in
/// their order, so that files in work at once are neighbours: a pass's permutation is drawn at most once per task, and
/// once per pass where its files outnumber the threads.
void check_files(const std::vector<FileTask>& tasks, const ViewMaker* views, unsigned threads, Findings& findings,
                 FileCounts& counts, const std::function<void(const FileTask&)>& checked);

}  // namespace vitrine

#endif  // VITRINE_TOOLS_INSPECT_VERIFY_FILES_H_
