#include "extract/run/recipes.h"

#include <algorithm>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/file_lock.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/cache/shard_directory.h"
#include "common/image/decode.h"
#include "common/image/views.h"

namespace vitrine {
namespace {

// On a disk without locks: see merge_recipes().
FileLock locked_directory(const std::filesystem::path& directory) {
  make_directories(directory);
  FileLock lock = FileLock::on_directory(directory);
  lock.wait();
  return lock;
}

std::vector<std::uint32_t> both(const std::vector<std::uint32_t>& a, const std::vector<std::uint32_t>& b) {
  std::vector<std::uint32_t> out;
  std::ranges::set_union(a, b, std::back_inserter(out));
  return out;
}

}  // namespace

void check_picture(std::uint64_t recorded, std::uint64_t made) {
  if (recorded == made) return;
  std::string decoders;
  for (const auto& [name, version] : decoder_versions())
    decoders += text(decoders.empty() ? "" : ", ", name, " ", version);
  fail("the picture made here is not the one that the cache's other targets were made of (hash ", hexadecimal(made),
       ", the recipes have ", hexadecimal(recorded), "); images are decoded in another way here (", decoders,
       "): resume where the cache was begun, or make another cache");
}

MergedRecipes merge_recipes(const std::filesystem::path& cache, const Plan& plan, ShardKey key,
                            const RecordedViews& made,
                            const std::function<std::uint64_t(std::uint32_t, std::span<const Recipe>)>& hash_of) {
  const ShardSpan span = plan.layout().span_of(key);
  const auto merged = [&](const RecordedViews& there) {
    RecordedViews out = there;
    for (std::uint32_t g = 0; g < span.groups; ++g) {
      if (there.left_out[g] == made.left_out[g]) {
        check_picture(there.picture_hashes[g], made.picture_hashes[g]);
        continue;
      }
      const std::uint32_t group = span.group(g).group;
      const std::vector<Recipe> recipes = plan.group(key.pass, group);
      const auto hashed = [&](const std::vector<std::uint32_t>& left_out) {
        return hashed_view(marked(recipes, left_out), group);
      };
      out.left_out[g] = both(there.left_out[g], made.left_out[g]);
      const auto of_there = hashed(there.left_out[g]), of_made = hashed(made.left_out[g]),
                 now = hashed(out.left_out[g]);
      if (of_there == of_made) check_picture(there.picture_hashes[g], made.picture_hashes[g]);
      if (now == of_there) continue;
      out.picture_hashes[g] =
          now == of_made ? made.picture_hashes[g] : hash_of(group, marked(recipes, out.left_out[g]));
    }
    return out;
  };
  const FileLock lock = locked_directory(cache / "recipes");
  std::optional<FileRecord> written;
  constexpr int kTries = 10;
  for (int tried = 0; tried < kTries; ++tried) {
    const bool exist = recipes_exist(cache, plan, key.pass, key.shard);
    const RecordedViews there = exist ? recorded_views(cache, plan, key.pass, key.shard) : made;
    RecordedViews now = exist ? merged(there) : made;
    if (exist && now.left_out == there.left_out) {
      // A run that replaced them may have died before it listed what they are now.
      if (!written && there.count() > 0)
        written = describe_file(cache / "recipes" / shard_file_name(plan.layout().number_of(key)));
      return {std::move(now), written};
    }
    written = write_recipes(cache, plan, key.pass, key.shard, now, decoder_versions(),
                            exist ? Existing::kReplace : Existing::kKeep);
  }
  throw Error(ErrorKind::kIo, {.path = (cache / "recipes").string(),
                               .what = text("other processes replace shard ", key.shard, " of pass ", key.pass,
                                            " again and again, and the disk has no locks"),
                               .remedy = "run again with fewer processes"});
}

}  // namespace vitrine
