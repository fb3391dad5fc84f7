#include "extract/command.h"

#include <torch/torch.h>

#include <cstdio>
#include <cstdlib>
#include <optional>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/memory.h"
#include "common/base/progress.h"
#include "common/cache/basis_file.h"
#include "common/cache/cache.h"
#include "common/cache/writer.h"
#include "common/image/index_record.h"
#include "common/image/scan.h"
#include "common/image/scan_report.h"
#include "common/teacher/class_map.h"
#include "common/teacher/teacher_check.h"
#include "extract/run/extractor.h"
#include "extract/memory.h"
#include "extract/mixed.h"
#include "extract/part.h"

namespace vitrine {
namespace {

// The images, and what is known of them.
struct Images {
  FolderScan scan;
  std::shared_ptr<const ImageIndex> index;
  std::shared_ptr<BadPictures> bad;
};

Images scan(const ExtractOptions& options, const StopFlag& stop) {
  const ImageFolders folders = options.folders();
  const std::filesystem::path cache = options.cache;
  const ScanOptions how{options.index_depth, options.verify_images, options.bad_images == BadImages::kSkip, true,
                        &stop};
  Images out;
  if (path_exists(cache / "index.h5")) {
    const KnownIndex known = known_index(cache, read_index(cache / "index.h5"));
    out.scan = scan_images(folders, how, known);
    if (known.depth >= how.depth && how.verify == VerifyImages::kSample)
      note(text("all sizes and the contents of ", human_count(verified_sample(known.index.images.size()).size()),
                " images were held against the cache's index"));
  } else {
    out.scan = scan_images(folders, how);
  }
  out.index = std::make_shared<const ImageIndex>(std::move(out.scan.index));
  note(text(folders.words(), ": ", out.index->words()));
  say_what_is_left_out(out.scan.left_out, cache / kLeftOutFile);
  say_what_is_ignored(out.scan.counts);
  out.bad = std::make_shared<BadPictures>(options.bad_images, out.index->images.size(), options.max_bad_share);
  say_what_is_skipped(out.scan.bad);
  for (const auto& [image, entry] : out.scan.bad) out.bad->add(image, entry);
  return out;
}

// Beside the index, which was just made or is the same.
void write_what_is_known(const std::filesystem::path& cache, const Images& images) {
  write_index_record(cache, images.index->hash(), {images.scan.depth, images.scan.counts});
  std::vector<LeftOut> list = images.scan.left_out;
  for (const LeftOut& entry : read_left_out(cache / kLeftOutFile))
    if (entry.kind > LeftOutKind::kNotInIndex)
      list.push_back(entry);  // met by earlier runs, and marked in their shards
  for (const auto& [image, entry] : images.scan.bad) list.push_back(entry);
  write_left_out(cache / kLeftOutFile, std::move(list));
}

void judge(const ExtractOptions& options, const Teacher& teacher, const ViewMaker& views, const ImageIndex& index,
           const ClassMap* map, std::uint32_t workers, const StopFlag& stop) {
  if (options.check_images == 0) return;
  if (index.labelled() == 0) {
    note("the teacher is not judged first: the images have no labels to hold its top-1 against");
    return;
  }
  const TeacherCheck check =
      check_teacher(teacher, views, index, options.check_images, options.plan.seed, map, options.images, workers, stop);
  for (const std::string& sentence : check.notes) note(sentence);
  if (check.refusal.empty()) return;
  if (!options.allow_chance) fail(check.refusal, "; set allow_chance = true to go on all the same");
  note(check.refusal + "; going on, since allow_chance is set");
}

// The map that the options name, or none. Throws Error when teacher and images have other classes and there is none.
std::optional<ClassMap> class_map(const ExtractOptions& options, const Teacher& teacher, const ImageIndex& index) {
  const auto classes = static_cast<std::uint32_t>(teacher.classes());
  const ClassMapFiles files{options.class_map, options.class_names};
  if (options.labels == Labels::kNone) return std::nullopt;
  if (files.given()) return read_class_map(files, classes, index.classes);
  if (classes != index.classes.size())
    fail(options.images, ": has ", index.classes.size(), " classes, but the teacher's head has ", classes,
         " (teacher.vit.classes); they must be the same classes in the same order, or be mapped (class_map, "
         "class_names), or labels = \"none\"");
  return std::nullopt;
}

// Says what the run will take, and takes fewer workers where the memory is short: bytes do not depend on their number.
std::uint32_t bounded_workers(const Plan& plan, const Teacher& teacher, const std::vector<TrackInfo>& tracks,
                              std::uint32_t wanted) {
  const ExtractionMemory memory = extraction_memory(plan, teacher.options().vit, teacher.options().micro_batch, tracks);
  const std::optional<std::uint64_t> available = available_memory();
  const std::uint32_t workers = workers_that_fit(memory, wanted, available, plan.options());
  const auto bytes = [](std::uint64_t number) { return human_bytes(static_cast<double>(number)); };
  note(text("memory: about ", bytes(memory.total(workers)),
            available ? text(" of ", bytes(*available), " available") : "", ": ", workers, " workers with ",
            bytes(memory.per_worker), " each, ", bytes(memory.shards), " for shards",
            workers < wanted ? text("; ", wanted, " workers would need ", bytes(memory.total(wanted))) : ""));
  return workers;
}

// Bases that an earlier run or another part has made.
std::vector<std::shared_ptr<const FeatureBasis>> known_bases(const std::filesystem::path& cache,
                                                             const std::vector<TrackInfo>& tracks) {
  std::vector<std::shared_ptr<const FeatureBasis>> out;
  for (const TrackInfo& track : tracks) {
    const std::filesystem::path path = cache / basis_path(track);
    const bool there = track.codec.form == Form::kTransform && path_exists(path);
    out.push_back(there ? std::make_shared<const FeatureBasis>(read_basis(path)) : nullptr);
  }
  return out;
}

}  // namespace

int extract(const ExtractOptions& options, const StopFlag& stop) {
  if (options.images.empty())
    fail("images is not given; expected a folder of class folders, or with labels = \"none\" of any images");
  if (options.cache.empty()) fail("cache is not given; expected a directory, which is made when it is missing");
  const std::uint32_t wanted_workers = options.workers > 0 ? options.workers : default_threads();
  at::set_num_threads(1);
  const Teacher teacher(options.teacher, options.taps);
  check_arithmetic_of_cache(options.cache, teacher.outputs(), options.allow_mixed);  // before the images are scanned
  const Images images = scan(options, stop);
  const std::shared_ptr<const ImageIndex>& index = images.index;
  const std::optional<ClassMap> map = class_map(options, teacher, *index);
  const Plan plan(index, options.plan);
  const std::filesystem::path cache = options.cache;
  std::vector<TrackInfo> tracks = teacher.tracks(plan);
  const ShardNotes notes{tracks.front().made_with};
  for (TrackInfo& track : tracks) track = with_arithmetic_of_cache(cache, track, options.allow_mixed);
  const std::string part = resolve_part(options.part, [](const char* name) { return std::getenv(name); });
  const std::vector<ShardKey> shards = shards_of_part(plan, options.first_pass, options.passes, part);
  // All that can be refused is refused before anything is computed or written.
  for (TrackInfo track : tracks) {
    if (track.codec.form == Form::kTransform) track.codec.basis.assign(64, '0');  // yet to be made
    track.check("teacher and taps");
  }
  const std::uint32_t workers = bounded_workers(plan, teacher, tracks, wanted_workers);
  const ViewMaker views(options.folders(), index, options.plan.image_size, images.bad);
  judge(options, teacher, views, *index, map ? &*map : nullptr, workers, stop);

  ReadyTracks ready = make_ready(teacher, views, plan, tracks, known_bases(cache, tracks),
                                 options.taps.calibration_views, workers, stop);
  remove_abandoned(cache);
  remove_abandoned(cache / "recipes");
  for (const TrackInfo& track : tracks) remove_abandoned(cache / track.directory());
  create_cache(cache, *index, plan);
  write_what_is_known(cache, images);
  images.bad->on_new(tell_and_list(cache / kLeftOutFile));
  add_left_out(cache / kLeftOutFile, images.bad->met());
  for (std::size_t t = 0; t < tracks.size(); ++t) {
    tracks[t] = ready.tracks[t];
    create_track(cache, tracks[t], ready.bases[t].get());
  }
  const std::uint64_t views_a_pass = std::uint64_t{plan.groups_per_pass()} * options.plan.group;
  note(text("plan ", plan.hash().substr(0, 12), ": ", human_count(views_a_pass), " views a pass in ",
            plan.shards_per_pass(), " shards; ", options.passes, " passes, part ", part, ", ", workers, " workers"));

  const Extractor extractor(options.cache, plan, teacher, views, std::move(ready), notes, workers);
  const Extractor::Made made = extractor.run(shards, stop);
  if (made.left_out > 0)
    note(text(human_count(made.left_out), " of ", human_count(made.views),
              " views were left out: their pictures could not ", "be read; ", (cache / kLeftOutFile).string(),
              " names them"));
  if (made.stopped) {
    note("stopped between two shards; run the same command again to go on with the missing ones");
    return kStoppedExitCode;
  }
  std::printf("%s: %s new shards, %s views", options.cache.c_str(), human_count(made.shards).c_str(),
              human_count(made.views).c_str());
  if (made.views > 0)
    std::printf(", %s a view", human_bytes(static_cast<double>(made.bytes) / static_cast<double>(made.views)).c_str());
  std::printf("\n");
  for (std::size_t t = 0; t < tracks.size(); ++t)
    std::printf("  %s  %s%s\n", tracks[t].directory().c_str(), form_name(tracks[t].codec.form),
                made.views > 0 ? (": " + made.losses[t].words()).c_str() : "");
  return 0;
}

}  // namespace vitrine
