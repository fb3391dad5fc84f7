#include "common/teacher/calibrate.h"

#include <tbb/global_control.h>
#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>
#include <ATen/ATen.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/codec/make_codec.h"
#include "common/codec/transform/encoder/calibrator.h"
#include "common/cache/left_out_views.h"
#include "common/teacher/one_thread_each.h"

namespace vitrine {

ReadyTracks make_ready(const Teacher& teacher, const ViewMaker& maker, const Plan& plan, std::vector<TrackInfo> tracks,
                       std::vector<std::shared_ptr<const FeatureBasis>> known, std::uint32_t views,
                       std::uint32_t workers, const StopFlag& stop) {
  constexpr const char* kWhere = "during calibration; nothing was saved";
  if (known.size() != tracks.size()) throw std::logic_error("make_ready: expected one basis or null per track");
  const std::uint32_t group_views = plan.options().group;
  const std::uint32_t groups = std::min(plan.groups_per_pass(), (views + group_views - 1) / group_views);
  std::vector<std::unique_ptr<Calibrator>> calibrators(tracks.size());
  bool any = false;
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    if (tracks[t].codec.encoding != Encoding::kTransform || known[t]) continue;
    calibrators[t] = std::make_unique<Calibrator>(tracks[t].shape[0], tracks[t].shape[1], tracks[t].shape[2]);
    any = true;
  }
  if (any) {
    // Allow more workers than cores, to hide the latency of slow disks.
    const std::size_t usual = tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
    const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                      std::max<std::size_t>(usual, workers));
    tbb::task_arena arena(static_cast<int>(workers));
    const OneThreadEach one_thread_each(arena);
    Progress progress("calibrate", "views", std::uint64_t{groups} * group_views);
    // One group per worker at a time; sums are accumulated in group order.
    for (std::uint32_t first = 0; first < groups; first += workers) {
      const std::uint32_t count = std::min(workers, groups - first);
      std::vector<std::vector<std::vector<float>>> values(count);
      std::vector<std::uint32_t> readable(count);  // views whose images were readable
      arena.execute([&] {
        tbb::parallel_for(std::uint32_t{0}, count, [&](std::uint32_t g) {
          throw_if_stopped(stop, kWhere);
          try {
            std::vector<Recipe> recipes = plan.group(0, first + g);
            const std::vector<std::uint8_t> pictures = maker.group_or_mark(recipes, teacher.image_size());
            values[g] = teacher.run(pictures, group_views);
            for (std::vector<float>& track : values[g]) track = without_left_out(recipes, std::move(track));
            readable[g] = group_views - static_cast<std::uint32_t>(std::ranges::count_if(recipes, is_left_out));
          } catch (const Error& error) {
            Problem problem = error.problem();
            problem.what = text("calibration, pass 0, group ", first + g, ": ", problem.what);
            throw Error(error.kind(), std::move(problem));
          }
        });
        tbb::parallel_for(std::size_t{0}, tracks.size(), [&](std::size_t t) {
          for (std::uint32_t g = 0; g < count && calibrators[t]; ++g)
            if (readable[g] > 0) calibrators[t]->add(values[g][t], readable[g]);
        });
      });
      progress.advance(std::uint64_t{count} * group_views);
    }
    progress.finish();
    throw_if_stopped(stop, kWhere);
    arena.execute([&] {
      tbb::parallel_for(std::size_t{0}, tracks.size(), [&](std::size_t t) {
        if (!calibrators[t]) return;
        try {
          known[t] =
              std::make_shared<const FeatureBasis>(calibrators[t]->finish(tracks[t].codec.max_error, group_views));
        } catch (const Error& error) {
          Problem problem = error.problem();
          problem.what = text(tracks[t].name(), ": ", problem.what);
          throw Error(error.kind(), std::move(problem));
        }
        calibrators[t].reset();
      });
    });
  }
  ReadyTracks out;
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    if (known[t]) tracks[t].codec.basis = known[t]->hash();
    out.codecs.push_back(make_codec(tracks[t].codec, tracks[t].shape, known[t]));
  }
  out.tracks = std::move(tracks);
  out.bases = std::move(known);
  return out;
}

}  // namespace vitrine
