// The recipes of a shard, which several processes may write that make different tracks of it, or the same.
#ifndef VITRINE_EXTRACT_RUN_RECIPES_H_
#define VITRINE_EXTRACT_RUN_RECIPES_H_

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>

#include "common/cache/writer.h"
#include "common/plan/plan.h"
#include "common/plan/recipe.h"

namespace vitrine {

struct MergedRecipes {
  RecordedViews views;                ///< as the recipes have them now
  std::optional<FileRecord> to_list;  ///< for the list of the directory; none if it is listed already
};

/// Publishes the recipes of a shard or, if they exist, adds the marks of `made` to theirs, so that views whose pictures
/// failed in any process, and whose targets are blank there, are marked as left out. Locks the directory meanwhile; on
/// a disk without locks it retries if another process has replaced them at the same time.
/// `made`: one hash and one list of marks per group. `hash_of`: makes the picture hash of a group (hash_of_group() of
/// its number and recipes), for a view that neither side hashed. Throws Error: kInput when the hash of the same view
/// differs, as images are decoded in another way here.
MergedRecipes merge_recipes(const std::filesystem::path& cache, const Plan& plan, ShardKey key,
                            const RecordedViews& made,
                            const std::function<std::uint64_t(std::uint32_t, std::span<const Recipe>)>& hash_of);

/// Throws Error, kInput, unless the hashes are equal: targets of one shard, whenever they were made, are of the same
/// pixels.
void check_picture(std::uint64_t recorded, std::uint64_t made);

}  // namespace vitrine

#endif  // VITRINE_EXTRACT_RUN_RECIPES_H_
