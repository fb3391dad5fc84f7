// A shard between its groups and its file. The groups come from many threads in any order, compression is shared out
// among them too, and one thread writes: what is left for it is the disk.
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

/// The file's bytes are a function of the constructor's arguments, the groups' arrays and the notes.
class ShardDraft {
 public:
  /// `layout`: of the track's codec. `plan` must outlive the draft.
  ShardDraft(TrackInfo track, const Plan& plan, std::uint32_t pass, std::uint32_t shard,
             std::vector<ArrayLayout> layout);

  std::uint32_t groups() const { return static_cast<std::uint32_t>(groups_.size()); }
  /// The codec's arrays of group `g`, counted in the shard. Arrays of plain numbers are compressed here, and only their
  /// frames are kept. Any thread; each group once.
  void set(std::uint32_t g, std::vector<Array> arrays);
  /// Makes the frames of group `g` that set() has left, those of whole groups, and lets go of its arrays. After set()
  /// of all groups (the longest decides how far the others are padded); then any thread; each group once.
  void compress(std::uint32_t g);
  /// Bytes of arrays and frames in memory. Not beside set() or compress().
  std::uint64_t held_bytes() const;
  /// Publishes the shard below the cache's directory, after compress() of all groups. Once. Throws Error.
  FileRecord publish(const std::filesystem::path& cache, const ShardNotes& notes);

 private:
  const Plan& plan_;
  TrackInfo track_;
  std::uint32_t pass_, shard_;
  std::vector<ArrayLayout> layout_;
  std::vector<std::vector<Array>> groups_;                   // [group][array], of whole groups; others are empty
  std::vector<std::vector<std::vector<std::byte>>> frames_;  // [group][array]
  std::vector<std::vector<std::size_t>> bytes_;              // [group][array], before padding
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_SHARD_DRAFT_H_
