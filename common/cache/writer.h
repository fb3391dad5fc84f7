// Writing a cache directory. Files are published atomically and never changed; equal arguments give equal bytes. Safe
// for concurrent processes, as they write identical files.
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

/// Publishes index.h5 and plan.json if missing. Throws Error that names the first difference when the directory holds
/// another index or plan.
void create_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan);

/// Throws as create_cache() does when the cache has another index or plan; writes nothing.
void check_cache(const std::filesystem::path& directory, const ImageIndex& index, const Plan& plan);

/// Publishes the basis as `path`. Equal bases give equal bytes.
void write_basis(const std::filesystem::path& path, const FeatureBasis& basis);

/// Publishes track.json if missing, preceded by basis.h5 for a track with a basis. Throws Error that names the first
/// difference from an existing track.json.
void create_track(const std::filesystem::path& directory, const TrackInfo& track, const FeatureBasis* basis = nullptr);

/// Throws as create_track() does when there is another track.json; writes nothing.
void check_track(const std::filesystem::path& directory, const TrackInfo& track);

/// The data in a shard's recipes that is not from the plan.
struct RecordedViews {
  std::vector<std::uint64_t> picture_hashes;              ///< one per group of the shard (views.h: hash_of_group)
  std::vector<std::vector<std::uint32_t>> left_out = {};  ///< per group: positions of views left out, ascending
  /// Total number of views left out.
  std::uint64_t count() const;
};
/// Marks the recipes at the positions `left_out`.
std::vector<Recipe> marked(std::vector<Recipe> recipes, const std::vector<std::uint32_t>& left_out);
/// The positions of marked recipes, ascending.
std::vector<std::uint32_t> positions_left_out(std::span<const Recipe> recipes);

/// `shard` < plan.shards_per_pass(). `decoders`: of the pictures (decode.h: decoder_versions), informational.
/// `existing`: kReplace only to mark more views as left out; nothing else in recipes ever changes.
FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const RecordedViews& views,
                         const std::map<std::string, std::string>& decoders = {}, Existing existing = Existing::kKeep);
FileRecord write_recipes(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                         std::uint32_t shard, const std::vector<std::uint64_t>& picture_hashes,
                         const std::map<std::string, std::string>& decoders = {});
/// Reads the picture hashes and marks of a shard's recipes. Throws Error when they are missing, damaged or of another
/// plan or place.
RecordedViews recorded_views(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass,
                             std::uint32_t shard);
bool recipes_exist(const std::filesystem::path& directory, const Plan& plan, std::uint32_t pass, std::uint32_t shard);

/// `groups`: per group of the shard, in order, the arrays from the track's codec. Single-threaded; see ShardDraft for
/// several threads.
FileRecord write_shard(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan,
                       std::uint32_t pass, std::uint32_t shard, const std::vector<std::vector<Array>>& groups,
                       const ShardNotes& notes = {});
bool shard_exists(const std::filesystem::path& directory, const TrackInfo& track, const Plan& plan, std::uint32_t pass,
                  std::uint32_t shard);

}  // namespace vitrine

#endif  // VITRINE_COMMON_CACHE_WRITER_H_
