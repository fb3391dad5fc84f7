#include "tools/commands/cache/deep.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/codec/loss.h"
#include "common/codec/transform/basis.h"
#include "common/image/views.h"
#include "common/teacher/one_thread_each.h"
#include "common/teacher/reopen.h"

namespace vitrine {
namespace {

constexpr double kFloor = 1e-6, kFloor16 = 1e-3;

bool wanted(const TrackInfo& track, const std::vector<std::string>& words) {
  return words.empty() || std::ranges::any_of(words, [&](const std::string& word) {
           return word == track.name() || word == track.directory();
         });
}

// Σ|x' − x|² / Σ|x − x̄|², with the mean over all values of the group.
double relative_error(std::span<const float> x, std::span<const float> other) {
  double mean = 0, energy = 0, error = 0;
  for (const float value : x) mean += value;
  mean /= static_cast<double>(x.size());
  for (std::size_t i = 0; i < x.size(); ++i) {
    energy += (x[i] - mean) * (x[i] - mean);
    error += (static_cast<double>(other[i]) - x[i]) * (static_cast<double>(other[i]) - x[i]);
  }
  return energy > 0 ? error / energy : error;
}

// Groups that every reader has, evenly spread; at most `count`.
std::vector<GroupKey> sample(const Plan& plan, const std::vector<std::unique_ptr<const TrackReader>>& readers,
                             std::uint64_t count) {
  std::vector<GroupKey> all;
  for (const std::uint64_t number : readers[0]->shelf().numbers()) {
    if (!std::ranges::all_of(readers, [&](const auto& reader) { return reader->shelf().holds(number); })) continue;
    const auto pass = static_cast<std::uint32_t>(number / plan.shards_per_pass());
    const std::uint32_t first =
        static_cast<std::uint32_t>(number % plan.shards_per_pass()) * plan.options().shard_groups;
    for (std::uint32_t g = first; g < std::min(first + plan.options().shard_groups, plan.groups_per_pass()); ++g)
      all.push_back({pass, g});
  }
  count = std::min<std::uint64_t>(count, all.size());
  std::vector<GroupKey> chosen;
  for (std::uint64_t i = 0; i < count; ++i) chosen.push_back(all[(2 * i + 1) * all.size() / (2 * count)]);
  return chosen;
}

// What one group of one track shows.
struct GroupFigures {
  bool identical = false;
  double error = 0, bound = 0;
  CodecLoss loss;
};

GroupFigures compare(const TrackReader& reader, GroupKey key, std::uint32_t views, const std::vector<float>& now,
                     double floor) {
  const TrackInfo& track = reader.track();
  TrackReader::Scratch scratch;
  std::vector<float> stored(now.size()), through = now;
  reader.read(key, scratch, stored);
  through_codec(reader.codec(), views, through);
  GroupFigures figures;
  figures.identical = stored == through;
  figures.error = relative_error(now, stored);
  figures.bound = std::max(floor, 2 * relative_error(now, through));
  figures.loss = measure_loss(track.kind, track.shape, views, now, stored,
                              reader.basis() ? std::span<const float>(reader.basis()->mean) : std::span<const float>());
  return figures;
}

// One teacher's tracks over the groups of the sample.
std::vector<DeepResult> run_teacher(const Cache& cache, const ReopenedTeacher& reopened, const ViewMaker& maker,
                                    std::uint64_t groups) {
  const Teacher teacher(reopened.teacher, reopened.taps);
  const Plan& plan = cache.plan();
  const std::uint32_t views = plan.options().group;
  // In the order of the teacher's outputs.
  std::vector<std::unique_ptr<const TrackReader>> readers;
  for (const TrackInfo& output : teacher.tracks(plan)) {
    const auto track =
        std::ranges::find_if(reopened.tracks, [&](const TrackInfo* t) { return t->name() == output.name(); });
    if ((*track)->shape != output.shape)
      fail((*track)->directory(),
           ": has another shape than the teacher's output; its provenance does not belong to it");
    readers.push_back(std::make_unique<const TrackReader>(cache, **track));
  }
  const std::vector<GroupKey> keys = sample(plan, readers, groups);
  if (keys.empty())
    fail(cache.directory().string(), ": the tracks of ", reopened.teacher.name,
         " share no shard; nothing can be sampled");
  const double floor = reopened.teacher.precision == "fp32" ? kFloor : kFloor16;
  std::vector<std::vector<GroupFigures>> figures(keys.size(), std::vector<GroupFigures>(readers.size()));
  tbb::task_arena arena;
  const OneThreadEach one_thread_each(arena);
  Progress progress("teacher " + reopened.teacher.name, "views", keys.size() * views);
  arena.execute([&] {
    tbb::parallel_for(std::size_t{0}, keys.size(), [&](std::size_t i) {
      const std::vector<std::uint8_t> pictures = maker.group(cache.recipes(keys[i]), teacher.image_size());
      const std::size_t bytes = pictures.size() / views;
      if (picture_hash(std::span(pictures).subspan(keys[i].group % views * bytes, bytes)) !=
          cache.picture_hash(keys[i]))
        fail("pass ", keys[i].pass, ", group ", keys[i].group,
             ": the images given make another picture than the teacher saw; give the folder that the cache was made "
             "from");
      const std::vector<std::vector<float>> values = teacher.run(pictures, views);
      for (std::size_t t = 0; t < readers.size(); ++t)
        figures[i][t] = compare(*readers[t], keys[i], views, values[t], floor);
      progress.advance(views);
    });
  });
  progress.finish();
  std::vector<DeepResult> results;
  for (std::size_t t = 0; t < readers.size(); ++t) {
    const TrackInfo& track = readers[t]->track();
    DeepResult result;
    result.track = track.directory();
    result.groups = keys.size(), result.views = keys.size() * views;
    CodecLoss loss;
    double worst_excess = -1;
    for (const std::vector<GroupFigures>& group : figures) {
      const GroupFigures& f = group[t];
      result.identical += f.identical ? 1 : 0;
      loss.add(f.loss);
      // The group that is farthest from its own bound stands for the track.
      if (f.error / f.bound > worst_excess) {
        worst_excess = f.error / f.bound;
        result.worst_error = f.error, result.bound = f.bound;
      }
    }
    result.loss = nlohmann::ordered_json::parse(loss.json());
    results.push_back(std::move(result));
  }
  return results;
}

}  // namespace

std::vector<DeepResult> deep_check(const Cache& cache, const DeepRequest& request) {
  at::set_num_threads(1);
  std::vector<TrackInfo> tracks;
  for (const TrackInfo& track : cache.tracks())
    if (wanted(track, request.tracks)) tracks.push_back(track);
  if (tracks.empty()) fail(cache.directory().string(), ": has no such track to ask the teacher for");
  const std::uint32_t group = cache.plan().options().group;
  const std::uint64_t groups = std::max<std::uint64_t>(1, (request.views + group - 1) / group);
  const ViewMaker maker(request.images, cache.index_ptr(), cache.plan().options().image_size);
  std::vector<DeepResult> results;
  for (const ReopenedTeacher& teacher : reopen_teachers(tracks, request.weights.string(), request.device))
    for (DeepResult& result : run_teacher(cache, teacher, maker, groups)) results.push_back(std::move(result));
  return results;
}

}  // namespace vitrine
