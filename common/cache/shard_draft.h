// A shard in memory, before it is written. Many threads add groups in any order and compress them; one thread then
// writes the file.
#ifndef VITRINE_COMMON_CACHE_SHARD_DRAFT_H_
#define VITRINE_COMMON_CACHE_SHARD_DRAFT_H_

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/plan/plan.h"

namespace vitrine {

/// The file's bytes depend only on the constructor's arguments, the groups' arrays and the notes.
class ShardDraft {
 public:
  /// `layout`: of the track's codec. `plan` must outlive the draft.
  ShardDraft(TrackInfo track, const Plan& plan, std::uint32_t pass, std::uint32_t shard,
             std::vector<ArrayLayout> layout);

  std::uint32_t groups() const { return static_cast<std::uint32_t>(groups_.size()); }
  /// Adds the codec's arrays of group `g`, counted within the shard. Arrays that are not whole_group are compressed
  /// here, and only their frames are kept. Thread-safe; call once per group.
  void set(std::uint32_t g, std::vector<Array> arrays);
  /// Compresses the whole_group arrays of group `g` and frees them. Requires set() of all groups, as rows are padded to
  /// the longest. Thread-safe; call once per group.
  void compress(std::uint32_t g);
  /// Bytes of arrays and frames in memory. Not concurrently with set() or compress().
  std::uint64_t held_bytes() const;
  /// Publishes the shard in the cache directory `cache`. Requires compress() of all groups; call once. Throws Error.
  FileRecord publish(const std::filesystem::path& cache, const ShardNotes& notes);

 private:
  const Plan& plan_;
  TrackInfo track_;
  std::uint32_t pass_, shard_;
  std::vector<ArrayLayout> layout_;
  std::vector<std::vector<Array>> groups_;                   // [group][array], only whole_group ones; others are empty
  std::vector<std::vector<std::vector<std::byte>>> frames_;  // [group][array]
  std::vector<std::vector<std::size_t>> bytes_;              // [group][array], before padding
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_SHARD_DRAFT_H_
