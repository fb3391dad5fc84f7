#include "extract/run/run.h"

#include <utility>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/codec/codec.h"
#include "common/codec/make_codec.h"
#include "common/image/left_out.h"
#include "common/image/scan_report.h"
#include "extract/compare.h"
#include "extract/memory.h"
#include "extract/part.h"
#include "extract/run/folder_check.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// The teacher's tracks as in the cache.
ReadyTracks prepared_tracks(const Cache& cache, const Teacher* teacher, std::uint32_t calibration_views) {
  ReadyTracks out;
  if (teacher == nullptr) return out;
  for (const TrackInfo& output : teacher->outputs()) {
    const std::string directory = output.directory();
    const TrackInfo& track = cache.track(output.name(), directory.substr(0, directory.find('/')));
    out.bases.push_back(load_basis(cache.directory(), track));
    if (out.bases.back())
      check_calibration_of_cache(cache.directory(), cache.plan(), track, *out.bases.back(), calibration_views);
    out.codecs.push_back(make_codec(track.codec, track.shape, out.bases.back()));
    out.tracks.push_back(track);
  }
  return out;
}

// Merges the lists of all runs into shards.json if all shards exist.
void merge_all_lists(const Plan& plan, const ExtractOptions& options, const std::string& part,
                     const Extractor::Made& made, const StopFlag& stop) {
  const auto [i, n] = parse_part(part);
  const std::uint64_t shards_per_pass = plan.shards_per_pass(), first = options.first_pass * shards_per_pass,
                      past = (std::uint64_t{options.first_pass} + options.passes) * shards_per_pass;
  const auto is_own = [=](std::uint64_t number) {
    return number >= first && number < past && (number - first) % n == i - 1;
  };
  for (const Extractor::Made::Directory& directory : made.directories)
    merge_lists(directory.path, {directory.files, is_own, first, past, &stop});
}

}  // namespace

RunResult run_part(const ExtractOptions& options, const std::string& part, const Teacher* teacher, RunStart start,
                   const StopFlag& stop) {
  const Cache cache(options.cache);
  const Plan& plan = cache.plan();
  const std::vector<ShardKey> shards = shards_of_part(plan, options.first_pass, options.passes, part);
  ReadyTracks ready = prepared_tracks(cache, teacher, options.taps.calibration_views);
  const std::vector<TrackInfo> tracks = ready.tracks;
  if (!start.workers) {
    const double forward_bytes = teacher == nullptr ? 0 : teacher->forward_bytes();
    const WorkerChoice choice = choose_workers(plan, forward_bytes, tracks, options.workers);
    note(choice.sentence);
    start.workers = choice.workers;
  }
  if (!start.bad) {
    check_folder(options.folders(), cache.index(), options.bad_images);
    start.bad = std::make_shared<BadPictures>(options.bad_images, cache.index().images.size(), options.max_bad_share);
  }
  const fs::path left_out = cache.directory() / kLeftOutFile;
  add_left_out(left_out, start.bad->met());
  start.bad->on_new(tell_and_list(left_out));
  const ViewMaker views(options.folders(), cache.index_ptr(), plan.options().image_size, start.bad);

  note(text("plan ", plan.hash().substr(0, 12), ": ", words_of_passes(plan, options.passes), ", part ", part, ", ",
            counted(*start.workers, "worker")));
  remove_abandoned(cache.directory() / "recipes");
  for (const TrackInfo& track : tracks) {
    const fs::path directory = cache.directory() / track.directory();
    remove_abandoned(directory.parent_path());  // the teacher's
    remove_abandoned(directory);
  }
  ShardNotes notes;
  if (teacher != nullptr) notes.made_with = teacher->outputs().front().made_with;
  const Extractor extractor(options.cache, plan, teacher, views, std::move(ready), notes, *start.workers);
  RunResult result{extractor.run(shards, stop), tracks};
  if (!result.made.stopped) merge_all_lists(plan, options, part, result.made, stop);
  result.made.stopped = stop;
  return result;
}

}  // namespace vitrine
