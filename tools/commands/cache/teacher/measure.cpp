#include "tools/commands/cache/teacher/measure.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/philox.h"
#include "common/base/processor_load.h"
#include "common/base/progress.h"
#include "common/base/temporary.h"
#include "common/cache/cache.h"
#include "common/cache/writer.h"
#include "common/image/decode.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/one_thread_each.h"
#include "extract/run/extractor.h"
#include "tools/commands/cache/teacher/estimate_images.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

double since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Runs body(0..count) on `workers` threads and returns the seconds per item with all workers busy.
double timed(std::uint32_t workers, std::uint32_t count, const std::function<void(std::uint32_t)>& body) {
  tbb::task_arena arena(static_cast<int>(workers));
  const OneThreadEach one_thread_each(arena);
  const auto start = Clock::now();
  arena.execute([&] { tbb::parallel_for(std::uint32_t{0}, count, body); });
  return since(start) / count;
}

// Times decoding and the teacher separately on the sample's groups.
void time_stages(const Teacher& teacher, const ViewMaker& maker, const Plan& plan, std::uint32_t groups,
                 Estimate& estimate) {
  const std::uint32_t views = plan.options().group;
  std::vector<std::vector<std::uint8_t>> pictures(groups);
  estimate.decode = timed(estimate.workers, groups,
                          [&](std::uint32_t g) {
                            std::vector<Recipe> recipes = plan.group(0, g);
                            pictures[g] = maker.group_or_mark(recipes, teacher.image_size());
                          }) /
                    views;
  // Warm-up, as the first forward pass allocates.
  const auto forward = [&](std::uint32_t g) { teacher.run(pictures[g], views); };
  timed(estimate.workers, std::min(groups, estimate.workers), forward);
  estimate.costs.live = timed(estimate.workers, groups, forward) / views;
}

// From the sample's shard: frames per view, plus the fixed part divided by the views of a shard of the planned size.
double bytes_a_view(const TrackReader& reader, std::uint64_t sampled, std::uint64_t shard_views) {
  const Container& shard = reader.shard_directory().open(0);
  std::uint64_t frames = 0;
  for (std::size_t d = 0; d < shard.datasets().size(); ++d)
    for (std::uint64_t chunk = 0; chunk < shard.datasets()[d].chunk_count; ++chunk)
      frames += shard.place(d, chunk).bytes;
  return static_cast<double>(frames) / static_cast<double>(sampled) +
         static_cast<double>(shard.file_bytes() - frames) / static_cast<double>(shard_views);
}

// 0 for a missing file.
double bytes_of(const fs::path& file) {
  return file_exists(file) ? static_cast<double>(file_bytes(file)) : 0;
}

// Measures the files besides tracks by writing them once: the index, the plan, and a shard of recipes.
void weigh_rest(const fs::path& directory, const Plan& whole, Estimate& estimate) {
  create_cache(directory, whole.index(), whole);
  for (const char* name : {"index.h5", "plan.json"}) estimate.once += bytes_of(directory / name);
  const std::uint32_t groups = whole.layout().span_of(std::uint64_t{0}).groups;
  std::vector<std::uint64_t> hashes(groups);
  RandomStream draws(0, Purpose::kSample);
  for (std::uint64_t& hash : hashes) hash = std::uint64_t{draws.bits()} << 32 | draws.bits();
  estimate.recipes_a_view =
      static_cast<double>(write_recipes(directory, whole, 0, 0, hashes, decoder_versions()).bytes) /
      (static_cast<double>(groups) * whole.options().group);
}

void time_reading(const fs::path& directory, const Plan& plan, std::uint32_t groups, std::uint64_t shard_views,
                  Estimate& estimate) {
  constexpr double kLongEnough = 0.3;  // seconds
  const Cache cache(directory);
  double seconds = 0;
  for (const TrackInfo& track : cache.tracks()) {
    const TrackReader reader(cache, track);
    TrackReader::Scratch scratch;
    std::vector<float> values(track.view_values() * plan.options().group);
    reader.read_in_own_basis({0, 0}, scratch, values);
    const auto start = Clock::now();
    std::uint64_t views = 0;
    while (views == 0 || since(start) < kLongEnough)
      for (std::uint32_t g = 0; g < groups; ++g) {
        reader.read_in_own_basis({0, g}, scratch, values);
        views += plan.options().group;
      }
    seconds += since(start) / static_cast<double>(views);
    estimate.tracks.push_back(
        {track.directory(), encoding_name(track.codec.encoding), bytes_a_view(reader, estimate.sampled, shard_views)});
    for (const char* name : {"track.json", "basis.h5"}) estimate.once += bytes_of(directory / track.directory() / name);
  }
  estimate.read_one_core = seconds;
  estimate.costs.read = seconds / estimate.workers;
}

}  // namespace

Estimate measure_extraction(ExtractOptions options, const Teacher& teacher, std::uint32_t sample,
                            const std::filesystem::path& scratch_parent) {
  at::set_num_threads(1);
  const OtherPrograms others;
  Estimate estimate;
  estimate.passes = options.passes;
  estimate.workers = options.workers > 0 ? options.workers : default_threads();
  const std::uint32_t asked = sample > 0 ? sample : std::max(4u, 2 * estimate.workers);
  const EstimateImages images = estimate_images(options.folders(), options.decoding, options.cache,
                                                std::size_t{asked} * options.plan.group, options.plan.seed);
  estimate.images = images.all->images.size();
  estimate.indexed = images.indexed;
  estimate.read = images.sample->images.size();
  estimate.unreadable = images.unreadable;
  const Plan whole(images.all, options.plan);
  estimate.views_a_pass = whole.layout().views_per_pass();

  // The sample is one shard; bytes_a_view() accounts for the planned number of groups per shard.
  const std::uint64_t shard_views = whole.layout().span_of(std::uint64_t{0}).views;
  const std::uint32_t groups = Plan(images.sample, options.plan).groups_per_pass();
  options.plan.shard_groups = groups;
  const Plan plan(images.sample, options.plan);
  estimate.sampled = std::uint64_t{groups} * options.plan.group;
  // A picture of a cache's index may have been damaged or lost since.
  const auto bad =
      std::make_shared<BadPictures>(options.bad_images, images.sample->images.size(), options.max_bad_share);
  const ViewMaker maker(options.folders(), images.sample, options.plan.image_size, bad);
  const std::vector<TrackInfo> tracks = teacher.tracks(plan);
  note(text("estimate: ", groups, " groups of ", options.plan.group, " views on ", estimate.workers, " workers"));
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism, std::max(2u, estimate.workers));
  time_stages(teacher, maker, plan, groups, estimate);

  const TemporaryDirectory scratch(scratch_parent.string());
  weigh_rest(scratch / "rest", whole, estimate);
  const fs::path cache = scratch / "cache";
  create_cache(cache, plan.index(), plan);
  // A basis calibrated only on the sample. It overfits slightly, by less than the variation between groups. The time
  // per view (pictures and teacher) is scaled up, the one-off time of the eigenvectors is not.
  const auto begun = Clock::now();
  ReadyTracks ready =
      make_ready(teacher, maker, plan, tracks, std::vector<std::shared_ptr<const FeatureBasis>>(tracks.size()),
                 static_cast<std::uint32_t>(estimate.sampled), estimate.workers);
  if (std::ranges::any_of(ready.bases, [](const auto& basis) { return basis != nullptr; })) {
    const double a_view = estimate.decode + estimate.costs.live;
    const double rest = std::max(0.0, since(begun) - a_view * static_cast<double>(estimate.sampled));
    const double views =
        static_cast<double>(std::min<std::uint64_t>(options.taps.calibration_views, estimate.views_a_pass));
    estimate.costs.calibration = (a_view * views + rest) / static_cast<double>(estimate.views_a_pass);
  }
  for (std::size_t t = 0; t < tracks.size(); ++t) create_track(cache, ready.tracks[t], ready.bases[t].get());
  const std::atomic<bool> never{false};
  const ShardKey shard{0, 0};
  const auto start = Clock::now();
  Extractor(cache, plan, &teacher, maker, std::move(ready), {}, estimate.workers).run(std::span(&shard, 1), never);
  estimate.costs.extraction = since(start) / static_cast<double>(estimate.sampled);
  time_reading(cache, plan, groups, shard_views, estimate);
  estimate.others = others.share();
  return estimate;
}

}  // namespace vitrine
