#include "tools/inspect/verify.h"

#include <algorithm>
#include <map>
#include <set>
#include <string_view>
#include <tuple>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/local_ranks.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "common/image/left_out.h"
#include "common/image/lost_pictures.h"
#include "tools/inspect/leftovers.h"
#include "tools/inspect/track_copy.h"
#include "tools/inspect/verify_files.h"
#include "tools/inspect/verify_preparation.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// A track.json that is damaged, missing or misplaced.
struct TrackFault {
  fs::path directory;
  std::string what;
  bool copied;  // its shards have a copy
};

// The opened cache. If index or plan is damaged, it cannot be opened, and files are checked by themselves.
struct Opened {
  std::unique_ptr<const Cache> cache;
  std::vector<std::unique_ptr<const TrackReader>> readers;
  std::vector<TrackFault> faults;
};

bool wanted(const std::vector<std::string>& tracks, const fs::path& track) {
  if (tracks.empty()) return true;
  const std::string name = track.filename().string(),
                    path = (track.parent_path().filename() / track.filename()).generic_string();
  return std::ranges::any_of(tracks, [&](const std::string& word) { return word == name || word == path; });
}

struct ShardFile {
  std::uint64_t number = 0, bytes = 0;
};

// Ascending; empty for a missing directory. Files removed during the listing are skipped; directories, dangling links,
// and entries that cannot be listed or examined are findings.
std::vector<ShardFile> list_shards(const fs::path& directory, Findings& findings) {
  std::vector<ShardFile> files;
  std::vector<DirectoryEntry> entries;
  try {
    if (directory_exists(directory)) entries = list_directory(directory);
  } catch (const Error& error) {
    findings.add(directory, error, Remedy::kRetry);
  }
  for (const DirectoryEntry& entry : entries) {
    const auto number = shard_number_of(entry.name);
    if (!number) continue;
    const fs::path at = directory / entry.name;
    try {
      if (entry.kind != DirectoryEntry::Kind::kFile)
        findings.add(at, "", -1, "is not a file", Remedy::kMove);
      else if (path_exists(at))
        files.push_back({*number, file_bytes(at)});
    } catch (const Error& error) {
      findings.add(at, error, Remedy::kRetry);
    }
  }
  std::ranges::sort(files, {}, &ShardFile::number);
  return files;
}

// `prepared`: passes that the directory is to have.
void add_incomplete(const std::string& directory, const std::vector<ShardFile>& shards, const ShardLayout& layout,
                    const std::vector<PassRange>& prepared, std::vector<IncompletePass>& incomplete) {
  std::map<std::uint64_t, std::uint32_t> there;
  for (const PassRange& range : prepared)
    for (std::uint64_t pass = range.first; pass < range.past(); ++pass) there[pass] = 0;
  for (const ShardFile& shard : shards)
    if (layout.has_pass_of(shard.number)) ++there[layout.pass_of(shard.number)];
  for (const auto& [pass, count] : there)
    if (const std::uint32_t all = layout.shards_per_pass(); count < all)
      incomplete.push_back({directory, static_cast<std::uint32_t>(pass), all - count, all});
}

// Directories TEACHER/TRACK with a track.json or shards. Directories that cannot be listed are findings.
std::vector<fs::path> track_directories(const fs::path& cache, Findings& findings) {
  using Kind = DirectoryEntry::Kind;
  std::vector<fs::path> found;
  for (const DirectoryEntry& teacher : list_directory(cache)) {
    if (teacher.kind != Kind::kDirectory || teacher.name == "recipes") continue;
    fs::path at = cache / teacher.name;
    try {
      for (const DirectoryEntry& track : list_directory(cache / teacher.name)) {
        if (track.kind != Kind::kDirectory) continue;
        at = cache / teacher.name / track.name;
        if (path_exists(at / "track.json") || ShardDirectory(at, nullptr).count() > 0) found.push_back(at);
      }
    } catch (const Error& error) {
      if (is_teacher_directory(teacher.name)) findings.add(at, error, Remedy::kRetry);
    }
  }
  return found;  // ascending, as listings are
}

void check_index(const fs::path& directory, Findings& findings) {
  const fs::path path = directory / "index.h5";
  if (!path_exists(path)) {
    findings.add({"index.h5", "", -1, "is missing", Remedy::kCopy});
    return;
  }
  check_container(path, findings, Remedy::kCopy);
}

// Whether its bytes are those that were written, so that a repair must not rename it.
bool is_intact(const fs::path& track_json) {
  try {
    return path_exists(track_json) && has_right_check(read_file(track_json));
  } catch (const Error&) {
    return false;  // reported by its reader
  }
}

// The classes.json of a track's teacher.
fs::path class_file(const fs::path& track) {
  return track.parent_path() / kTeacherClassesFile;
}

void check_class_file(const fs::path& cache, const fs::path& track, Findings& findings) {
  try {
    read_teacher_classes(cache, track.parent_path().filename().string());
  } catch (const Error& error) {
    findings.add(class_file(track), error, Remedy::kCopy, Remedy::kCopy);
  }
}

// Opens a reader for the track. If all shards agree on a copy that differs from track.json, track.json belongs to
// another track, and the shards are checked against their copy.
void open_track(const fs::path& at, Opened& opened, Findings& findings) {
  const std::string below = (at.parent_path().filename() / at.filename()).generic_string();
  const Cache& cache = *opened.cache;
  const auto good = std::ranges::find(cache.tracks(), below, &TrackInfo::directory);
  const auto bad = std::ranges::find(cache.bad_tracks(), below, &Cache::BadTrack::directory);
  const std::optional<TrackCopy> copy = track_copy(cache.plan(), at);
  std::optional<TrackInfo> track;
  if (good != cache.tracks().end()) {
    track = *good;
    // One shard against one track.json: either of the two may be wrong.
    const std::string difference = copy && copy->shards > 1 ? difference_words(*track, *copy) : "";
    if (!difference.empty()) {
      findings.add(at / "track.json", "", -1, text("does not match its ", copy->shards, " shards: ", difference),
                   Remedy::kMove);
      track = copy->track;
    }
  } else if (bad != cache.bad_tracks().end() && bad->error.problem().path == class_file(at).string()) {
    findings.add(class_file(at), bad->error, Remedy::kCopy, Remedy::kCopy);
    if (copy) track = copy->track;
  } else if (bad != cache.bad_tracks().end()) {
    const fs::path file = at / "track.json";
    // An intact track.json in the wrong place may be valid data of another cache. One with a newer version number is
    // kNewer, unless it has no check and its shards, which have checksums, have a copy and none of them is newer.
    const ErrorKind kind = bad->error.kind();
    const bool intact = is_intact(file);
    const bool contradicted = !intact && copy && copy->shards > 1 && copy->newer == 0 && kind == ErrorKind::kNewer;
    const Remedy remedy = path_exists(file) && !contradicted
                              ? remedy_of(kind, intact ? Remedy::kMove : Remedy::kRemake, Remedy::kMove)
                              : Remedy::kRemake;
    if (remedy == Remedy::kRemake)
      opened.faults.push_back({at, bad->error.problem().what, copy.has_value()});
    else
      findings.add(file, bad->error, remedy, remedy);
    if (copy) track = copy->track;
  }
  if (!track) return;
  const fs::path basis = at / "basis.h5";
  try {
    opened.readers.push_back(std::make_unique<const TrackReader>(cache, *track));
  } catch (const Error& error) {
    // The constructor only opens the basis.
    const bool missing = error.problem().path == basis.string() && !path_exists(basis);
    findings.add(basis, error, Remedy::kRemake, missing ? Remedy::kRemake : Remedy::kMove);
  }
}

Opened open_cache(const fs::path& directory, const std::vector<fs::path>& tracks, Findings& findings) {
  Opened opened;
  // Determines which of the two files prevents opening the cache.
  fs::path file = directory / "index.h5";
  try {
    read_index(file);
    file = directory / "plan.json";
    opened.cache = std::make_unique<const Cache>(directory);
  } catch (const Error& error) {
    const std::string& path = error.problem().path;
    findings.add(path.empty() ? file : fs::path(path), error, Remedy::kCopy, Remedy::kCopy);
    return opened;
  }
  for (const fs::path& at : tracks) open_track(at, opened, findings);
  return opened;
}

// Call after all files were checked: a track.json is rebuilt from a shard without findings, if there is one.
void add_track_faults(const std::vector<TrackFault>& faults, Findings& findings) {
  const std::vector<Finding> found = findings.sorted();
  for (const TrackFault& fault : faults) {
    const ShardDirectory shard_directory(fault.directory, nullptr);
    const bool intact = std::ranges::any_of(shard_directory.numbers(), [&](std::uint64_t number) {
      const std::string file = findings.name_of(fault.directory / shard_file_name(number));
      return std::ranges::find(found, file, &Finding::file) == found.end();
    });
    findings.add(fault.directory / "track.json", "", -1, fault.what,
                 fault.copied && intact ? Remedy::kRestore : Remedy::kRemake);
  }
}

// Compares names and sizes of a directory's shards with shards.json; hashes are compared file by file.
std::optional<Manifest> read_manifest(const fs::path& directory, Findings& findings, std::uint64_t& unlisted) {
  try {
    std::optional<Manifest> manifest = Manifest::read_all(directory);
    if (!manifest) return manifest;
    const ManifestDifference difference = compare_manifest(*manifest, directory, false);
    unlisted += difference.unlisted.size();
    for (const std::string& name : difference.missing)
      findings.add(directory / name, "", -1, text("is listed in ", kManifestName, " but missing"), Remedy::kRemake);
    return manifest;
  } catch (const Error& error) {
    findings.add(directory / kManifestName, error, Remedy::kRelist);
    return std::nullopt;
  }
}

// A track's shard cannot be used without its recipes.
void check_recipes_there(const Cache& cache, const TrackReader& reader, const std::vector<ShardFile>& shards,
                         Findings& findings) {
  for (const ShardFile& shard : shards)
    if (!cache.recipe_directory().holds(shard.number))
      findings.add({text("recipes/", shard_file_name(shard.number)), "", -1,
                    text("is missing, but ", reader.track().directory(), " has targets for its views"),
                    Remedy::kRemake});
}

std::unique_ptr<const GivenImages> open_images(const Cache& cache, const VerifyOptions& options) {
  const ImageFolders folders(options.images, options.unlabelled);
  const std::vector<ImageEntry>& images = cache.index().images;
  const std::vector<LeftOut> left_out = read_left_out(cache.directory() / kLeftOutFile);
  std::set<std::string_view> listed;
  for (const LeftOut& entry : left_out) listed.insert(entry.id);
  for (const bool further : {false, true}) {
    const auto first = std::ranges::find_if(images, [&](const ImageEntry& image) {
      return is_unlabelled(image.id) == further && !listed.contains(image.id);
    });
    if (first != images.end() && !path_exists(folders.file(first->id)))
      throw Error(ErrorKind::kInput, {.path = (further ? folders.unlabelled : folders.images).string(),
                                      .what = "does not contain " + first->id,
                                      .remedy = "expected the folder of images that the cache was made from"});
  }
  return std::make_unique<const GivenImages>(ViewMaker(folders, cache.index_ptr(), cache.plan().options().image_size),
                                             LostPictures(folders, cache.index_ptr(), left_out));
}

// The directories of the tracks to verify. Throws Error for a directory that is no cache, and for a track that it
// lacks.
std::vector<fs::path> checked_tracks(const fs::path& directory, const VerifyOptions& options, Findings& findings) {
  const auto refuse = [&](const std::string& what, const char* remedy) {
    throw Error(ErrorKind::kInput,
                {.path = directory.empty() ? "\"\"" : directory.string(), .what = what, .remedy = remedy});
  };
  if (!directory_exists(directory)) refuse("is not a directory", "expected a cache");
  if (!path_exists(directory / "index.h5") && !path_exists(directory / "plan.json") &&
      !path_exists(directory / "recipes"))
    refuse("has neither index.h5 nor plan.json nor recipes", "expected the directory of a cache");
  std::vector<fs::path> tracks = track_directories(directory, findings);
  for (const std::string& word : options.tracks)
    if (std::ranges::none_of(tracks, [&](const fs::path& track) { return wanted({word}, track); }))
      refuse("has no track " + word, "vitrine-cache info lists what it has");
  std::erase_if(tracks, [&](const fs::path& track) { return !wanted(options.tracks, track); });
  return tracks;
}

// Lists the files of a cache: counts those that are whole here, collects shards as tasks, and says what is missing.
class CacheListing {
 public:
  CacheListing(const fs::path& directory, const Opened& opened, VerifyReport& report, Findings& findings)
      : directory_(directory), opened_(opened), report_(report), findings_(findings) {
    for (const char* name : {"index.h5", "plan.json", kPreparationFile}) look(directory / name);
    preparation_ = check_preparation(directory, opened.cache.get(), findings).value_or(Preparation());
  }

  // The manifest and the shards of a track, or of "recipes" (no reader).
  void add_directory(const fs::path& at, const TrackReader* reader);
  void add_track(const fs::path& track);
  // The classes.json of the tracks' teachers.
  void add_class_files(const std::vector<fs::path>& tracks);
  // Of what was prepared and has no directory yet.
  void add_absent(const std::vector<std::string>& wanted_tracks);

  const std::vector<FileTask>& tasks() const { return tasks_; }

 private:
  void look(const fs::path& file) {
    try {
      if (!file_exists(file)) return;
      report_.bytes += file_bytes(file);
      ++report_.files;
    } catch (const Error&) {  // reported by its reader
    }
  }

  const fs::path& directory_;
  const Opened& opened_;
  VerifyReport& report_;
  Findings& findings_;
  Preparation preparation_;
  std::vector<FileTask> tasks_;
  std::vector<std::unique_ptr<const Manifest>> manifests_;  // the tasks point to them
};

void CacheListing::add_directory(const fs::path& at, const TrackReader* reader) {
  look(at / kManifestName);
  auto manifest = read_manifest(at, findings_, report_.unlisted);
  if (manifest) manifests_.push_back(std::make_unique<const Manifest>(std::move(*manifest)));
  const Manifest* listed = manifest ? manifests_.back().get() : nullptr;
  const std::vector<ShardFile> shards = list_shards(at, findings_);
  if (reader != nullptr) check_recipes_there(*opened_.cache, *reader, shards, findings_);
  for (const ShardFile& shard : shards)
    tasks_.push_back(
        {at / shard_file_name(shard.number), shard.number, opened_.cache.get(), reader, listed, shard.bytes});
  if (opened_.cache == nullptr) return;
  const std::string name = at.lexically_relative(directory_).generic_string();
  add_incomplete(name, shards, opened_.cache->plan().layout(), prepared_passes(preparation_, name), report_.incomplete);
}

void CacheListing::add_track(const fs::path& track) {
  const auto reader = std::ranges::find_if(opened_.readers,
                                           [&](const auto& r) { return directory_ / r->track().directory() == track; });
  // Without a readable index or basis, tables and frames can still be checked.
  add_directory(track, reader == opened_.readers.end() ? nullptr : reader->get());
  for (const char* name : {"track.json", "basis.h5"}) look(track / name);
  if (path_exists(track / "basis.h5")) check_container(track / "basis.h5", findings_, Remedy::kRemake);
  if (opened_.cache == nullptr && !path_exists(track / "track.json"))
    findings_.add(track / "track.json", "", -1, "is missing, but there are shards", Remedy::kRemake);
}

void CacheListing::add_class_files(const std::vector<fs::path>& tracks) {
  std::set<fs::path> looked_at;
  for (const fs::path& track : tracks) {
    if (!looked_at.insert(class_file(track)).second) continue;
    look(class_file(track));
    check_class_file(directory_, track, findings_);
  }
}

void CacheListing::add_absent(const std::vector<std::string>& wanted_tracks) {
  for (const PreparedTrack& track : preparation_.tracks)
    if (wanted(wanted_tracks, directory_ / track.directory) && !directory_exists(directory_ / track.directory))
      add_incomplete(track.directory, {}, opened_.cache->plan().layout(), track.passes, report_.incomplete);
}

}  // namespace

VerifyReport verify_cache(const fs::path& directory, const VerifyOptions& options) {
  Findings findings(directory);
  const std::vector<fs::path> tracks = checked_tracks(directory, options, findings);

  VerifyReport report;
  report.set_aside = set_aside_below(directory);
  check_index(directory, findings);
  const Opened opened = open_cache(directory, tracks, findings);
  report.opened = opened.cache != nullptr;
  std::unique_ptr<const GivenImages> images;
  if (!options.images.empty() && opened.cache != nullptr) images = open_images(*opened.cache, options);

  CacheListing listing(directory, opened, report, findings);
  listing.add_directory(directory / "recipes", nullptr);
  for (const fs::path& track : tracks) listing.add_track(track);
  listing.add_class_files(tracks);
  report.tracks = tracks.size();
  listing.add_absent(options.tracks);
  std::ranges::sort(report.incomplete, {}, [](const IncompletePass& one) {
    return std::tuple(one.directory != "recipes", one.directory, one.pass);  // recipes first
  });

  const std::vector<FileTask>& tasks = listing.tasks();
  const std::uint64_t done = report.bytes;
  report.files += tasks.size();
  for (const FileTask& task : tasks) report.bytes += task.bytes;
  const unsigned threads = options.threads > 0 ? options.threads : default_threads();
  ByteProgress progress("verify", report.bytes, done);
  FileCounts counts;
  check_files(tasks, images.get(), threads, findings, counts,
              [&](const FileTask& task) { progress.advance(task.bytes); });
  progress.finish();
  report.groups = counts.groups;
  report.pictures = counts.pictures;
  report.lost = counts.lost;
  report.left_out = counts.left_out;
  add_track_faults(opened.faults, findings);
  report.findings = findings.sorted();
  return report;
}

}  // namespace vitrine
