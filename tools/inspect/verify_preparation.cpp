#include "tools/inspect/verify_preparation.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/shard_directory.h"
#include "common/image/index_record.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Act two writes recipes, and only in a prepared cache; only act one writes an index_record.json that is no copy.
bool was_prepared(const fs::path& directory) {
  return has_own_index_record(directory) && ShardDirectory(directory / "recipes", nullptr).count() > 0;
}

bool fits_plan(const Preparation& preparation, const Plan& plan) {
  const std::uint64_t most = (kMaxShardNumber + 1) / plan.shards_per_pass();  // passes
  const std::vector<PassRange> passes = preparation.recipe_passes();          // of all tracks too
  return passes.empty() || passes.back().past() <= most;
}

}  // namespace

std::optional<Preparation> check_preparation(const fs::path& directory, const Cache* cache, Findings& findings) {
  const fs::path path = directory / kPreparationFile;
  try {
    if (!path_exists(path)) {
      if (was_prepared(directory))
        findings.add(path, "", -1, text("is missing, but ", kIndexRecordFile, " says that the cache was prepared"),
                     Remedy::kRemake);
      return std::nullopt;
    }
    if (cache == nullptr) {
      Preparation::from_json(read_file(path), path.string());
      return std::nullopt;
    }
    std::optional<Preparation> preparation = read_preparation(directory, cache->plan().hash());
    if (!preparation || fits_plan(*preparation, cache->plan())) return preparation;
    findings.add(path, "", -1, "names more passes than the plan can have", Remedy::kRemake);
  } catch (const Error& error) {
    findings.add(path, error, Remedy::kRemake, Remedy::kMove);
  }
  return std::nullopt;
}

std::vector<PassRange> prepared_passes(const Preparation& preparation, const std::string& directory) {
  if (directory == "recipes") return preparation.recipe_passes();
  const PreparedTrack* track = preparation.find(directory);
  return track == nullptr ? std::vector<PassRange>() : track->passes;
}

}  // namespace vitrine
