// Writing a cache directory. Files are published whole and never changed; the same arguments give the same bytes. Every
// function may be called from several processes at once: they would write the same file.
#ifndef VITRINE_COMMON_CACHE_WRITER_H_
#define VITRINE_COMMON_CACHE_WRITER_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "common/base/files.h"
#include "common/cache/shard_directory.h"
#include "common/cache/shard_draft.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/plan/plan.h"

namespace vitrine {

/// Publishes index.h5 and plan.json where they are missing. Throws Error that names the first difference when the
/// directory holds another index or plan.
void create_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan);

/// Throws as create_cache() does when what is there is another index or plan; writes nothing.
void check_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan);

/// Publishes the file. Equal bases give equal bytes.
void write_basis(const std::filesystem::path& path, const FeatureBasis& basis);

/// Publishes track.json where it is missing, and before it basis.h5 for a track that has a basis. Throws Error that
/// names the first difference to a track.json that is there.
void create_track(const std::filesystem::path& directory, const TrackInfo& track, const FeatureBasis* basis = nullptr);

/// What a shard's recipes hold beside the plan's.
struct RecordedViews {
  std::vector<std::uint64_t> picture_hashes;              ///< one per group of the shard (views.h: hash_of_group)
  std::vector<std::vector<std::uint32_t>> left_out = {};  ///< of each group, positions of views left out, ascending
  /// Views left out in all groups.
  std::uint64_t count() const;
};
/// The plan's recipes with these positions marked; none beyond the end of `left_out`.
std::vector<Recipe> marked(std::vector<Recipe> recipes, const std::vector<std::uint32_t>& left_out);
/// The positions of those that are marked, ascending.
std::vector<std::uint32_t> positions_left_out(std::span<const Recipe> recipes);

/// `shard` < plan.shards_per_pass(). `decoders`: of the pictures (decode.h: decoder_versions), for people to read.
/// `existing`: kReplace for recipes of which more views are left out than before; nothing else of them ever changes.
FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const RecordedViews& views,
                         const std::map<std::string, std::string>& decoders = {}, Existing existing = Existing::kKeep);
FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const std::vector<std::uint64_t>& picture_hashes,
                         const std::map<std::string, std::string>& decoders = {});
/// The picture hashes and marks that a shard's recipes hold. Throws Error when they are missing, damaged or of another
/// plan or place.
RecordedViews recorded_views(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                             std::uint32_t shard);
bool recipes_exist(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass, std::uint32_t shard);

/// `groups`: for each group of the shard, in order, the arrays that the track's codec made of its views. On one thread;
/// ShardDraft is for several.
FileRecord write_shard(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan,
                       std::uint32_t pass, std::uint32_t shard, const std::vector<std::vector<Array>>& groups,
                       const ShardNotes& notes = {});
bool shard_exists(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan, std::uint32_t pass,
                  std::uint32_t shard);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_WRITER_H_
