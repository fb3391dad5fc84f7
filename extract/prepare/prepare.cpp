#include "extract/prepare/prepare.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/cache/teacher_score.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "common/teacher/calibrate.h"
#include "common/teacher/class_name_match.h"
#include "common/teacher/teacher_check.h"
#include "extract/compare.h"
#include "extract/memory.h"
#include "extract/mixed.h"
#include "extract/part.h"
#include "extract/prepare/class_names.h"
#include "extract/prepare/images.h"
#include "extract/prepare/lock.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// nullopt for a teacher that cannot be checked on these images, which is said.
std::optional<TeacherScore> checked_score(const ExtractOptions& options, const Teacher& teacher, const ViewMaker& views,
                                          const ImageIndex& index, const TeacherClasses& classes, std::uint32_t workers,
                                          const StopFlag& stop) {
  if (options.check_images == 0) return std::nullopt;
  if (const std::string why = why_no_top1(teacher, index, classes); !why.empty()) {
    note("the teacher is not checked on clean crops: " + why);
    return std::nullopt;
  }
  const TeacherCheck check =
      check_teacher(teacher, views, index, options.check_images, options.plan.seed,
                    classes.map ? &*classes.map : nullptr, options.images, /*keys=*/"", workers, stop);
  for (const std::string& sentence : check.notes) note(sentence);
  if (!check.refusal.empty()) {
    // Features and attention of a teacher that, by its names, has other classes are as good as any.
    const bool others = !options.taps.logits && classes.match == ClassNameMatch::kDisjoint;
    if (!others && !options.allow_chance) fail(check.refusal, "; to continue anyway, add --allow chance");
    note(check.refusal +
         (others ? "; continuing, since its logits are not kept" : "; continuing, since that is allowed"));
  }
  const CleanCrops& crops = check.crops;
  if (crops.accuracy.images == 0 || !std::isfinite(crops.confidence)) return std::nullopt;
  return TeacherScore{crops.accuracy.images, crops.accuracy.top1, crops.accuracy.top5, crops.confidence,
                      crops.calibration_error};
}

// A basis without track.json: a preparation died between the two, and may have had other settings.
bool is_orphan(const fs::path& cache, const TrackInfo& track) {
  return !path_exists(cache / track.directory() / "track.json") &&
         list_shard_numbers(cache / track.directory()).empty();
}

// The bases in the cache.
std::vector<std::shared_ptr<const FeatureBasis>> known_bases(const fs::path& cache, const Plan& plan,
                                                             const std::vector<TrackInfo>& tracks,
                                                             std::uint32_t calibration_views) {
  std::vector<std::shared_ptr<const FeatureBasis>> out(tracks.size());
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    const fs::path path = cache / basis_path(tracks[t]);
    if (tracks[t].codec.encoding != Encoding::kTransform || !path_exists(path) || is_orphan(cache, tracks[t])) continue;
    out[t] = std::make_shared<const FeatureBasis>(read_basis(path));
    check_calibration_of_cache(cache, plan, tracks[t], *out[t], calibration_views);
  }
  return out;
}

void write_track(const fs::path& cache, const TrackInfo& track, const FeatureBasis* basis) {
  const fs::path path = cache / basis_path(track);
  if (basis != nullptr && path_exists(path) && is_orphan(cache, track) && read_basis(path).hash() != basis->hash())
    remove_file(path);
  create_track(cache, track, basis);
}

// The tracks as they are or will be in the cache, without bases that are still to be computed; none without a teacher.
std::vector<TrackInfo> tracks_for_cache(const fs::path& cache, const Teacher* teacher, const Plan& plan,
                                        const TeacherClasses& classes, bool allow_mixed) {
  if (teacher == nullptr) return {};
  std::vector<TrackInfo> tracks = teacher->tracks(plan);
  for (TrackInfo& track : tracks) {
    if (track.kind == "logits" && !classes.names.empty()) track.class_names_sha256 = class_names_sha256(classes.names);
    track = with_arithmetic_of_cache(cache, track, allow_mixed);
    TrackInfo whole = track;
    if (whole.codec.encoding == Encoding::kTransform) whole.codec.basis.assign(64, '0');
    whole.check("teacher and taps");
  }
  return tracks;
}

// "NAME.xxxxxxxx".
std::string teacher_of(const TrackInfo& track) {
  const std::string directory = track.directory();
  return directory.substr(0, directory.find('/'));
}

// Throws Error if the cache records other class names of the teacher than those that are known now, or has lost its
// own. `tracks`: as tracks_for_cache() gives them.
void check_names_of_cache(const fs::path& cache, const TeacherClasses& classes, const std::vector<TrackInfo>& tracks) {
  for (const TrackInfo& track : tracks) {
    if (!classes.known.empty()) check_teacher_classes(cache, teacher_of(track), classes.known);
    if (track.class_names_sha256.empty()) continue;
    if (classes.known.empty())
      check_class_names(cache, track);
    else if (class_names_sha256(classes.known) != track.class_names_sha256)
      throw Error(ErrorKind::kInput, {.path = (cache / track.directory() / "track.json").string(),
                                      .what = text("was made with other class names, and the ", kTeacherClassesFile,
                                                   " with them is missing"),
                                      .remedy = "use the same names; to correct them, remove the track's directory"});
  }
}

// Whether the teacher was already checked, when one of its tracks was prepared.
bool is_checked(const std::optional<Preparation>& preparation, const TrackInfo& track) {
  return preparation && std::ranges::any_of(preparation->tracks, [&](const PreparedTrack& prepared) {
           return prepared.directory.starts_with(teacher_of(track) + "/");
         });
}

std::string size_words(const Plan& plan, const std::vector<TrackInfo>& tracks, PassRange passes) {
  if (tracks.empty()) return "recipes alone: " + words_of_passes(plan, passes.count);
  double view = 0;
  for (const TrackInfo& track : tracks) view += stored_view_bytes(track);
  const double views = static_cast<double>(plan.layout().views_per_pass()) * passes.count;
  return text("size: at most about ", human_bytes(view), " per view, ", human_bytes(view * views), " for ",
              words_of_passes(plan, passes.count), " (vitrine-cache estimate measures it)");
}

void remove_leftovers(const fs::path& cache, const std::vector<TrackInfo>& tracks) {
  remove_abandoned(cache);
  if (!tracks.empty()) remove_abandoned(cache / teacher_of(tracks.front()));
  for (const TrackInfo& track : tracks) remove_abandoned(cache / track.directory());
}

// What preparation is made from; all of it was compared with the cache.
struct Compared {
  PreparedImages images;
  Plan plan;
  TeacherClasses classes;
  std::vector<TrackInfo> tracks;
  std::vector<std::shared_ptr<const FeatureBasis>> bases;
  WorkerChoice choice;
  Preparation preparation;
};

Compared compare_with_cache(const ExtractOptions& options, const Teacher* teacher, const StopFlag& stop) {
  const fs::path cache = options.cache;
  PreparedImages images = scan_for_cache(options, stop);
  Plan plan(images.index, options.plan);
  check_cache(cache, *images.index, plan);
  check_passes(plan, options.first_pass, options.passes, parse_part(options.part == "auto" ? "1/1" : options.part).n);
  TeacherClasses classes;
  if (teacher != nullptr) classes = classes_of(options, *teacher, *images.index);
  std::vector<TrackInfo> tracks = tracks_for_cache(cache, teacher, plan, classes, options.allow_mixed);
  check_tracks_of_cache(cache, tracks, options.allow_mixed);  // again: another process may have prepared it meanwhile
  check_names_of_cache(cache, classes, tracks);
  auto bases = known_bases(cache, plan, tracks, options.taps.calibration_views);
  WorkerChoice choice =
      choose_workers(plan, teacher == nullptr ? 0 : teacher->forward_bytes(), tracks, options.workers);
  note(choice.sentence);
  Preparation preparation = preparation_of_cache(cache).value_or(Preparation{plan.hash()});
  return {std::move(images), std::move(plan),   std::move(classes),    std::move(tracks),
          std::move(bases),  std::move(choice), std::move(preparation)};
}

std::optional<TeacherScore> check_once(const ExtractOptions& options, const Teacher* teacher, const Compared& all,
                                       const ViewMaker& views, const StopFlag& stop) {
  if (teacher == nullptr || is_checked(all.preparation, all.tracks.front())) return std::nullopt;
  if (const std::string difference = decoding_difference(*teacher, *all.images.index); !difference.empty())
    note("warning: " + difference);
  return checked_score(options, *teacher, views, *all.images.index, all.classes, all.choice.workers, stop);
}

}  // namespace

void describe_preparation(const ExtractOptions& options, const Teacher* teacher, const StopFlag& stop) {
  const Compared all = compare_with_cache(options, teacher, stop);
  check_once(options, teacher, all,
             ViewMaker(options.folders(), all.images.index, options.plan.image_size, all.images.bad), stop);
  const PassRange passes{options.first_pass, options.passes};
  const auto describe = [&](const std::string& what, const std::string& directory) {
    std::uint64_t present = 0;
    for (const std::uint64_t shard : list_shard_numbers(fs::path(options.cache) / directory))
      present += shard / all.plan.shards_per_pass() >= passes.first &&
                 shard / all.plan.shards_per_pass() < passes.first + passes.count;
    note(text(what, directory, ", ", present, " of ", std::uint64_t{all.plan.shards_per_pass()} * passes.count,
              " shards are there"));
  };
  if (all.tracks.empty()) describe("", "recipes");
  for (const TrackInfo& track : all.tracks) describe("track: ", track.directory());
  note(size_words(all.plan, all.tracks, passes));
}

Prepared prepare(const ExtractOptions& options, const Teacher* teacher, const StopFlag& stop) {
  const fs::path cache = options.cache;
  const PassRange passes{options.first_pass, options.passes};
  const auto is_prepared = [&] {
    return missing_preparation(cache, outputs_of(teacher), passes, options.index_depth).empty();
  };
  std::optional<PrepareLock> lock;
  if (is_prepared())
    PrepareLock::remove_abandoned(cache);
  else
    lock.emplace(cache, stop);

  Compared all = compare_with_cache(options, teacher, stop);
  const PreparedImages& images = all.images;
  const Plan& plan = all.plan;
  const std::vector<TrackInfo>& tracks = all.tracks;
  const std::uint32_t workers = all.choice.workers;
  const ViewMaker views(options.folders(), images.index, options.plan.image_size, images.bad);
  const std::optional<TeacherScore> score = check_once(options, teacher, all, views, stop);
  ReadyTracks ready;
  if (teacher != nullptr)
    ready =
        make_ready(*teacher, views, plan, tracks, std::move(all.bases), options.taps.calibration_views, workers, stop);

  remove_leftovers(cache, tracks);
  create_cache(cache, *images.index, plan);
  write_index_record_and_left_out(cache, images);
  add_left_out(cache / kLeftOutFile, images.bad->met());  // includes those met in calibration
  if (score) write_teacher_score(cache, teacher_of(tracks.front()), *score);
  if (!all.classes.names.empty()) write_teacher_classes(cache, teacher_of(tracks.front()), all.classes.names);
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    write_track(cache, ready.tracks[t], ready.bases[t].get());
    all.preparation.add(tracks[t].directory(), passes);
  }
  if (teacher == nullptr) all.preparation.add_recipes(passes);
  if (lock)
    write_preparation(cache,
                      all.preparation);  // without the lock nothing was added, and another process may be writing it
  return {images.bad, workers, size_words(plan, tracks, passes)};
}

}  // namespace vitrine
