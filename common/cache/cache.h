// Reading a cache directory. Nothing here writes, locks or calls HDF5; all of it may be called from any thread.
#ifndef VITRINE_COMMON_CACHE_CACHE_H_
#define VITRINE_COMMON_CACHE_CACHE_H_

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/cache/container.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/plan/epoch.h"
#include "common/plan/plan.h"

namespace vitrine {

/// Whether a directory is named as a teacher's in a cache, "NAME.xxxxxxxx".
bool is_teacher_directory(const std::string& name);

class Cache {
 public:
  /// Reads index.h5, plan.json and every track.json, and lists the recipes. Throws Error when index or plan is missing
  /// or damaged, or they do not belong together. Unreadable tracks do not fail the constructor; see bad_tracks(). What
  /// is added to the directory later is not seen.
  explicit Cache(std::filesystem::path directory);

  const std::filesystem::path& directory() const { return directory_; }
  const ImageIndex& index() const { return *index_; }
  std::shared_ptr<const ImageIndex> index_ptr() const { return index_; }
  const Plan& plan() const { return *plan_; }

  /// The stored views of a group: plan().options().group of them, each checked to lie in its image. Throws Error.
  std::vector<Recipe> recipes(GroupKey key) const;
  /// The stored hash of one rendered view of the group (views.h says which). Throws Error.
  std::uint64_t picture_hash(GroupKey key) const;
  /// Passes whose recipes are complete.
  const std::vector<std::uint32_t>& recipe_passes() const { return recipe_passes_; }

  /// The files of recipes, opened with the checks of recipes().
  const ShardDirectory& recipe_directory() const { return *recipes_; }

  /// Ascending by directory.
  const std::vector<TrackInfo>& tracks() const { return tracks_; }
  /// A directory of a track whose track.json cannot be read, is damaged, newer, of another plan or in the wrong place,
  /// or missing though there are shards; or a teacher's directory that cannot be listed.
  struct BadTrack {
    std::string directory;  ///< "TEACHER.xxxxxxxx/NAME", or a teacher's
    Error error;            ///< names the file
  };
  /// Ascending by directory; none of them is among tracks().
  const std::vector<BadTrack>& bad_tracks() const { return bad_tracks_; }
  /// The track of a name ("logits", "features.11"), from a teacher if there are several ("NAME" or "NAME.xxxxxxxx";
  /// empty: any). Throws Error that lists what there is when none or several fit, bad ones among them, and a bad
  /// track's own error when it is the one.
  const TrackInfo& track(const std::string& name, const std::string& teacher = {}) const;

 private:
  void add_track(const std::filesystem::path& directory);

  std::filesystem::path directory_;
  std::shared_ptr<const ImageIndex> index_;
  std::unique_ptr<const Plan> plan_;
  std::unique_ptr<const ShardDirectory> recipes_;
  std::vector<std::uint32_t> recipe_passes_;
  std::vector<TrackInfo> tracks_;
  std::vector<BadTrack> bad_tracks_;
};

/// Reads one track. Lives independently of the Cache that it was made with.
class TrackReader {
 public:
  /// What a thread keeps between reads, of any number of tracks. Its buffers grow to the largest group.
  struct Scratch {
    Container::Scratch container;
    std::vector<Buffer> arrays;
    std::vector<std::span<const std::byte>> spans;
  };

  TrackReader(const Cache& cache, const TrackInfo& track);

  const TrackInfo& track() const { return track_; }
  const Codec& codec() const { return *codec_; }
  /// The shards, opened with the checks of read().
  const ShardDirectory& shard_directory() const { return *shard_directory_; }
  /// Passes whose shards are all there, ascending.
  const std::vector<std::uint32_t>& passes() const { return passes_; }
  /// Whether passes() has it.
  bool has_pass(std::uint32_t pass) const { return std::ranges::binary_search(passes_, pass); }
  /// The decoded targets of a group. `out`: [group, shape...]. Throws Error that names file, dataset and group. Any
  /// thread, with a scratch of its own; a shard's table is read with its first group. Afterwards no lock, and no
  /// allocation once the scratch has seen the largest group.
  void read(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// What a topk track holds: `values` and `indices` [group, kept], the largest first; `tail` [group, temperatures].
  /// Throws Error for a track of another encoding too.
  void read_kept(GroupKey key, Scratch& scratch, std::span<float> values, std::span<std::uint32_t> indices,
                 std::span<float> tail) const;
  /// Features of a transform track in the basis of its channels (basis()), [group, C, H, W]: vectorsᵀ · this + mean is
  /// what read() gives. Throws Error for a track of another encoding too.
  void read_coefficients(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// What a student takes: read_coefficients() of a track with a basis, read() of any other.
  void read_in_own_basis(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// Of a transform track, else nothing.
  const std::shared_ptr<const FeatureBasis>& basis() const { return basis_; }
  /// Bytes of all shards that are there, and their number.
  std::uint64_t stored_bytes() const { return shard_directory_->stored_bytes(); }
  std::uint64_t shards() const { return shard_directory_->count(); }
  /// Views in the shards that are there.
  std::uint64_t stored_views() const;

 private:
  /// Reads the group's arrays and gives them to `decode`; its errors get the file's name.
  template <class Decode>
  void load(GroupKey key, Scratch& scratch, const Decode& decode) const;

  TrackInfo track_;
  ShardLayout shards_;
  std::vector<ArrayLayout> layout_;
  std::shared_ptr<const FeatureBasis> basis_;
  std::unique_ptr<const Codec> codec_;
  std::unique_ptr<const ShardDirectory> shard_directory_;
  std::vector<std::uint32_t> passes_;
};

/// Reads index.h5.
ImageIndex read_index(const std::filesystem::path& path);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_CACHE_H_
