#include "extract/extractor.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <torch/torch.h>

#include <algorithm>
#include <charconv>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/writer.h"
#include "common/teacher/one_thread_each.h"

namespace vitrine {
std::vector<ShardKey> shards_of_part(const Plan& plan, std::uint32_t first_pass, std::uint32_t passes,
                                     const std::string& part) {
  std::uint32_t i = 0, n = 0;
  const char* end = part.data() + part.size();
  const auto left = std::from_chars(part.data(), end, i);
  const bool slash = left.ec == std::errc() && left.ptr != end && *left.ptr == '/';
  const auto right = slash ? std::from_chars(left.ptr + 1, end, n) : left;
  if (!slash || right.ec != std::errc() || right.ptr != end || i < 1 || i > n)
    fail("part = \"", part, "\" is not allowed; expected i/n with 1 ≤ i ≤ n, for instance 2/8");
  std::vector<ShardKey> out;
  std::uint64_t count = 0;
  for (std::uint32_t pass = first_pass; pass < first_pass + passes; ++pass)
    for (std::uint32_t shard = 0; shard < plan.shards_per_pass(); ++shard)
      if (count++ % n == i - 1) out.push_back({pass, shard});
  return out;
}

struct Extractor::Shard {
  std::vector<std::uint64_t> picture_hashes;
  std::vector<std::vector<std::vector<Array>>> tracks;  // [track][group] -> arrays
};

Extractor::Extractor(std::filesystem::path cache, const Plan& plan, const Teacher& teacher, const ViewMaker& views,
                     std::uint32_t workers)
    : cache_(std::move(cache)),
      plan_(plan),
      teacher_(teacher),
      views_(views),
      tracks_(teacher.tracks(plan)),
      workers_(workers) {}

bool Extractor::complete(ShardKey key) const {
  if (!recipes_exist(cache_, plan_, key.pass, key.shard)) return false;
  for (const TrackInfo& track : tracks_)
    if (!shard_exists(cache_, track, plan_, key.pass, key.shard)) return false;
  return true;
}

Extractor::Shard Extractor::make(ShardKey key, Progress& progress) const {
  const std::uint32_t groups = groups_in_shard(plan_, key.shard), first = key.shard * plan_.options().shard_groups;
  Shard out;
  out.picture_hashes.resize(groups);
  out.tracks.assign(tracks_.size(), std::vector<std::vector<Array>>(groups));
  std::vector<std::unique_ptr<const Codec>> codecs;
  for (const TrackInfo& track : tracks_) codecs.push_back(make_codec(track.codec, track.shape));
  tbb::parallel_for(std::uint32_t{0}, groups, [&](std::uint32_t g) {
    const std::uint32_t group = first + g;
    try {
      const std::vector<Recipe> recipes = plan_.group(key.pass, group);
      const auto views = static_cast<std::uint32_t>(recipes.size());
      const std::vector<std::uint8_t> pictures = views_.group(recipes, teacher_.image_size());
      const std::size_t view_bytes = pictures.size() / views;
      out.picture_hashes[g] = picture_hash(std::span(pictures).subspan(group % views * view_bytes, view_bytes));
      const std::vector<std::vector<float>> values = teacher_.run(pictures, views);
      for (std::size_t t = 0; t < tracks_.size(); ++t) out.tracks[t][g] = codecs[t]->encode(values[t], views);
      progress.advance(views);
    } catch (const Error& error) {
      fail("pass ", key.pass, ", group ", group, ": ", error.what());
    }
  });
  return out;
}

Extractor::Made Extractor::run(std::span<const ShardKey> shards, const std::atomic<bool>& stop) const {
  std::vector<ShardKey> missing;
  std::uint64_t total = 0, done = 0;
  for (const ShardKey& key : shards) {
    const std::uint64_t views = std::uint64_t{groups_in_shard(plan_, key.shard)} * plan_.options().group;
    total += views;
    if (complete(key)) {
      done += views;
    } else {
      missing.push_back(key);
    }
  }
  if (done > 0)
    note(text(human_count(done), " of ", human_count(total), " views are there already; going on with the rest"));
  Made made;
  if (missing.empty()) return made;
  // More workers than cores are allowed: they wait for slow disks.
  const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    std::max<std::size_t>(usual, workers_));
  tbb::task_arena arena(static_cast<int>(workers_));
  const OneThreadEach one_thread_each(arena);
  Progress progress("extract", "views", total, done);
  for (const ShardKey& key : missing) {
    if (stop) {
      made.stopped = true;
      return made;
    }
    Shard shard;
    arena.execute([&] { shard = make(key, progress); });
    const auto published = [&](const std::filesystem::path& path) { made.bytes += std::filesystem::file_size(path); };
    char name[32];
    std::snprintf(name, sizeof name, "%05llu.h5",
                  static_cast<unsigned long long>(std::uint64_t{key.pass} * plan_.shards_per_pass() + key.shard));
    if (!recipes_exist(cache_, plan_, key.pass, key.shard))
      write_recipes(cache_, plan_, key.pass, key.shard, shard.picture_hashes);
    for (std::size_t t = 0; t < tracks_.size(); ++t) {
      if (shard_exists(cache_, tracks_[t], plan_, key.pass, key.shard)) continue;
      write_shard(cache_, tracks_[t], plan_, key.pass, key.shard, shard.tracks[t]);
      published(cache_ / tracks_[t].directory() / name);
    }
    made.views += std::uint64_t{groups_in_shard(plan_, key.shard)} * plan_.options().group;
    if (made.shards++ == 0 && missing.size() > 1)
      note(text("at the first shard's ", human_bytes(static_cast<double>(made.bytes) / static_cast<double>(made.views)),
                " a view the missing shards will take ",
                human_bytes(static_cast<double>(made.bytes) / static_cast<double>(made.views) *
                            static_cast<double>(total - done))));
  }
  progress.finish();
  return made;
}

}  // namespace vitrine
