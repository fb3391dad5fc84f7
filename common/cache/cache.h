// Reading a cache directory. Never writes, locks files or calls HDF5; thread-safe.
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

/// Whether `name` has the form of a teacher's directory in a cache, "NAME.xxxxxxxx".
bool is_teacher_directory(const std::string& name);

class Cache {
 public:
  /// Reads index.h5, plan.json and every track.json, and lists the recipes. Throws Error when index or plan is missing
  /// or damaged, or the plan is not of this index. Unreadable tracks do not fail the constructor; see bad_tracks().
  /// Files added to the directory later are not seen.
  explicit Cache(std::filesystem::path directory);

  const std::filesystem::path& directory() const { return directory_; }
  const ImageIndex& index() const { return *index_; }
  std::shared_ptr<const ImageIndex> index_ptr() const { return index_; }
  const Plan& plan() const { return *plan_; }

  /// The stored views of a group: plan().options().group of them, each checked against its image's size. Throws Error.
  std::vector<Recipe> recipes(GroupKey key) const;
  /// The stored hash of one rendered view of the group (which one: views.h). Throws Error.
  std::uint64_t picture_hash(GroupKey key) const;
  /// Passes whose recipes are complete.
  const std::vector<std::uint32_t>& recipe_passes() const { return recipe_passes_; }

  /// The recipe files. open() performs the checks of recipes().
  const ShardDirectory& recipe_directory() const { return *recipes_; }

  /// Ascending by directory.
  const std::vector<TrackInfo>& tracks() const { return tracks_; }
  /// A track directory whose track.json is unreadable, damaged, newer, of another plan, in the wrong place, or missing
  /// although there are shards; logits that record their class names and whose classes.json is missing or has others;
  /// or a teacher's directory that cannot be listed.
  struct BadTrack {
    std::string directory;  ///< "TEACHER.xxxxxxxx/NAME", or a teacher's
    Error error;            ///< names the file
  };
  /// Ascending by directory; disjoint from tracks().
  const std::vector<BadTrack>& bad_tracks() const { return bad_tracks_; }
  /// Finds a track by name ("logits", "features.11") and teacher ("NAME" or "NAME.xxxxxxxx"; empty: any). If no or
  /// several tracks match, throws Error that lists all tracks, including bad ones; if the match is a bad track, throws
  /// its error.
  const TrackInfo& track(const std::string& name, const std::string& teacher = {}) const;
  /// Whether any track, readable or not, matches.
  bool has_track(const std::string& name, const std::string& teacher = {}) const;

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

/// Reads one track. May outlive the Cache that it was constructed from.
class TrackReader {
 public:
  /// Per-thread state, reusable for any number of tracks. Its buffers grow to the largest group.
  struct Scratch {
    Container::Scratch container;
    std::vector<Buffer> arrays;
    std::vector<std::span<const std::byte>> spans;
  };

  TrackReader(const Cache& cache, const TrackInfo& track);

  const TrackInfo& track() const { return track_; }
  const Codec& codec() const { return *codec_; }
  /// The shards. open() performs the checks of read().
  const ShardDirectory& shard_directory() const { return *shard_directory_; }
  /// Passes with all shards present, ascending.
  const std::vector<std::uint32_t>& passes() const { return passes_; }
  /// Whether passes() contains `pass`.
  bool has_pass(std::uint32_t pass) const { return std::ranges::binary_search(passes_, pass); }
  /// Reads and decodes the targets of a group. `out`: [group, shape...]. Throws Error that names file, dataset and
  /// group. Thread-safe with one scratch per thread. The first read of a shard also reads its table; later ones take no
  /// lock, and allocate nothing once the scratch has seen the largest group.
  void read(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// The stored values of a topk track: `values` and `indices` [group, kept], the largest first; `tail` [group,
  /// temperatures]. Also throws Error for a track of another encoding.
  void read_kept(GroupKey key, Scratch& scratch, std::span<float> values, std::span<std::uint32_t> indices,
                 std::span<float> tail) const;
  /// Features of a transform track as coefficients over channels (basis()), [group, C, H, W]: read() gives vectorsᵀ ·
  /// out + mean. Also throws Error for a track of another encoding.
  void read_coefficients(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// The form that students use: read_coefficients() of a track with a basis, else read().
  void read_in_own_basis(GroupKey key, Scratch& scratch, std::span<float> out) const;
  /// nullptr unless it is a transform track.
  const std::shared_ptr<const FeatureBasis>& basis() const { return basis_; }
  /// Total bytes and number of the shards present.
  std::uint64_t stored_bytes() const { return shard_directory_->stored_bytes(); }
  std::uint64_t shards() const { return shard_directory_->count(); }
  /// Views in the shards present.
  std::uint64_t stored_views() const;

 private:
  /// Reads the group's arrays and passes them to `decode`; adds the file's name to its errors.
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
