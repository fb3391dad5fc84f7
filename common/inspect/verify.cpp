#include "common/inspect/verify.h"

#include <tbb/parallel_for.h>
#include <tbb/task_arena.h>

#include <algorithm>
#include <map>

#include "common/base/error.h"
#include "common/base/local_ranks.h"
#include "common/base/files.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/manifest.h"
#include "common/cache/shard_name.h"
#include "common/cache/shelf.h"
#include "common/inspect/track_copy.h"
#include "common/inspect/verify_files.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// A track.json that is not what its place asks for.
struct TrackFault {
  fs::path directory;
  std::string what;
  bool copied;  // its shards say what it should be
};

// A cache whose index or plan is damaged cannot be opened: its files are then looked at one by one.
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

// Calls body(entry, number) for all in a directory that is called as a shard is. A missing directory has none.
template <class Body>
void for_each_shard_name(const fs::path& directory, const Body& body) {
  if (!fs::exists(directory)) return;
  std::error_code failure;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end; entry.increment(failure))
    if (const auto number = shard_number_of(entry->path().filename().string())) body(*entry, *number);
  if (failure) fail(directory.string(), ": cannot be listed (", failure.message(), ")");
}

struct ShardFile {
  std::uint64_t number = 0, bytes = 0;
};

// Ascending. A file that goes while it is listed is none; folders, and links to nothing, are findings.
std::vector<ShardFile> list_shards(const fs::path& directory, Findings& findings) {
  std::vector<ShardFile> files;
  for_each_shard_name(directory, [&](const fs::directory_entry& entry, std::uint64_t number) {
    std::error_code gone;
    if (entry.is_regular_file(gone)) {
      const std::uint64_t bytes = entry.file_size(gone);
      if (!gone) files.push_back({number, bytes});
    } else if (fs::exists(entry.symlink_status(gone))) {
      findings.add(entry.path(), "", -1, "is not a file", Remedy::kMove);
    }
  });
  std::ranges::sort(files, {}, &ShardFile::number);
  return files;
}

void add_incomplete(const std::string& directory, const std::vector<ShardFile>& shards, std::uint32_t shards_per_pass,
                    std::vector<IncompletePass>& incomplete) {
  std::map<std::uint64_t, std::uint32_t> there;
  for (const ShardFile& shard : shards) ++there[shard.number / shards_per_pass];
  for (const auto& [pass, count] : there)
    if (count < shards_per_pass)
      incomplete.push_back({directory, static_cast<std::uint32_t>(pass), shards_per_pass - count, shards_per_pass});
}

// Directories TEACHER/TRACK with a track.json or shards in them.
std::vector<fs::path> track_directories(const fs::path& cache) {
  std::vector<fs::path> found;
  std::error_code failure;
  for (fs::directory_iterator teacher(cache, failure), end; !failure && teacher != end; teacher.increment(failure)) {
    if (!teacher->is_directory() || teacher->path().filename() == "recipes") continue;
    for (fs::directory_iterator track(teacher->path(), failure); !failure && track != end; track.increment(failure))
      if (track->is_directory() &&
          (fs::exists(track->path() / "track.json") || Shelf(track->path(), nullptr).count() > 0))
        found.push_back(track->path());
  }
  if (failure) fail(cache.string(), ": cannot be listed (", failure.message(), ")");
  std::ranges::sort(found);
  return found;
}

void check_index(const fs::path& directory, Findings& findings) {
  const fs::path path = directory / "index.h5";
  if (!fs::exists(path)) {
    findings.add({"index.h5", "", -1, "is missing", Remedy::kCopy});
    return;
  }
  check_container(path, findings, Remedy::kCopy);
}

// A sound track.json that is in the wrong place is somebody's treasure; one that cannot be read is not.
bool is_sound(const fs::path& track_json) {
  try {
    TrackInfo::from_json(read_file(track_json), track_json.string());
    return true;
  } catch (const Error&) {
    return false;
  }
}

// Opens a reader for the track that is really there: when all shards say another thing than track.json, it is the one
// that is wrong, and they are held against what they say.
void open_track(const fs::path& at, Opened& opened, Findings& findings) {
  const std::string below = (at.parent_path().filename() / at.filename()).generic_string();
  const Cache& cache = *opened.cache;
  const auto good = std::ranges::find(cache.tracks(), below, &TrackInfo::directory);
  const auto bad = std::ranges::find(cache.bad_tracks(), below, &Cache::BadTrack::directory);
  const std::optional<TrackCopy> copy = track_copy(cache.plan(), at);
  std::optional<TrackInfo> track;
  if (good != cache.tracks().end()) {
    track = *good;
    // One shard against one track.json: either may be the stranger.
    const std::string difference = copy && copy->shards > 1 ? difference_words(*track, *copy) : "";
    if (!difference.empty()) {
      opened.faults.push_back({at, text("is not what its ", copy->shards, " shards say: ", difference), true});
      track = copy->track;
    }
  } else if (bad != cache.bad_tracks().end()) {
    const fs::path file = at / "track.json";
    const std::string what = problem_words(bad->what, file);
    if (is_sound(file))
      findings.add(file, "", -1, what, Remedy::kMove);
    else
      opened.faults.push_back({at, what, copy.has_value()});
    if (copy) track = copy->track;
  }
  if (!track) return;
  try {
    opened.readers.push_back(std::make_unique<const TrackReader>(cache, *track));
  } catch (const Error& error) {
    // All else that a reader opens at once is the basis.
    findings.add(at / "basis.h5", "", -1, problem_words(error.what(), at / "basis.h5"), Remedy::kRemake);
  }
}

Opened open_cache(const fs::path& directory, const std::vector<fs::path>& tracks, Findings& findings) {
  Opened opened;
  // Tells which of the two files it is that the cache does not open for.
  fs::path file = directory / "index.h5";
  try {
    read_index(file);
    file = directory / "plan.json";
    opened.cache = std::make_unique<const Cache>(directory);
  } catch (const Error& error) {
    findings.add(file, "", -1, problem_words(error.what(), file), Remedy::kCopy);
    return opened;
  }
  for (const fs::path& at : tracks) open_track(at, opened, findings);
  return opened;
}

// After all files were looked at: a track.json is made again from a shard with nothing wrong, where there is one.
void add_track_faults(const std::vector<TrackFault>& faults, Findings& findings) {
  const std::vector<Finding> found = findings.sorted();
  for (const TrackFault& fault : faults) {
    const Shelf shelf(fault.directory, nullptr);
    const bool intact = std::ranges::any_of(shelf.numbers(), [&](std::uint64_t number) {
      const std::string file = findings.name_of(fault.directory / shard_file_name(number));
      return std::ranges::find(found, file, &Finding::file) == found.end();
    });
    findings.add(fault.directory / "track.json", "", -1, fault.what,
                 fault.copied && intact ? Remedy::kRestore : Remedy::kRemake);
  }
}

// The shards of a directory against its shards.json, names and sizes; hashes are looked at file by file.
std::optional<Manifest> read_manifest(const fs::path& directory, Findings& findings, std::uint64_t& unlisted) {
  try {
    std::optional<Manifest> manifest = Manifest::read(directory);
    if (!manifest) return manifest;
    const ManifestDifference difference = compare_manifest(*manifest, directory, false);
    unlisted += difference.unlisted.size();
    for (const std::string& name : difference.missing)
      findings.add(directory / name, "", -1, text("is listed in ", kManifestName, " but missing"), Remedy::kRemake);
    return manifest;
  } catch (const Error& error) {
    findings.add(directory / kManifestName, "", -1, problem_words(error.what(), directory / kManifestName),
                 Remedy::kRelist);
    return std::nullopt;
  }
}

// A track's shard without the recipes of its views is of no use to a student.
void check_recipes_there(const Cache& cache, const TrackReader& reader, const std::vector<ShardFile>& shards,
                         Findings& findings) {
  for (const ShardFile& shard : shards)
    if (!cache.recipe_shelf().holds(shard.number))
      findings.add({text("recipes/", shard_file_name(shard.number)), "", -1,
                    text("is missing, but ", reader.track().directory(), " has targets for its views"),
                    Remedy::kRemake});
}

std::unique_ptr<const ViewMaker> open_images(const Cache& cache, const VerifyOptions& options) {
  const ImageFolders folders(options.images, options.unlabelled);
  const std::vector<ImageEntry>& images = cache.index().images;
  for (const bool further : {false, true}) {
    const auto first =
        std::ranges::find_if(images, [&](const ImageEntry& image) { return lies_further(image.id) == further; });
    if (first != images.end() && !fs::exists(folders.file(first->id)))
      fail((further ? folders.unlabelled : folders.images).string(), ": does not hold ", first->id,
           "; expected the folder of images that the cache was made from");
  }
  return std::make_unique<const ViewMaker>(folders, cache.index_ptr(), cache.plan().options().image_size);
}

}  // namespace

VerifyReport verify_cache(const fs::path& directory, const VerifyOptions& options) {
  if (!fs::is_directory(directory)) fail(directory.string(), ": is not a directory; expected a cache");
  if (!fs::exists(directory / "index.h5") && !fs::exists(directory / "plan.json") && !fs::exists(directory / "recipes"))
    fail(directory.string(), ": holds neither index.h5 nor plan.json nor recipes; expected the directory of a cache");
  std::vector<fs::path> tracks = track_directories(directory);
  for (const std::string& word : options.tracks)
    if (std::ranges::none_of(tracks, [&](const fs::path& track) { return wanted({word}, track); }))
      fail(directory.string(), ": has no track ", word, "; vitrine-cache info lists what it has");
  std::erase_if(tracks, [&](const fs::path& track) { return !wanted(options.tracks, track); });

  VerifyReport report;
  Findings findings(directory);
  check_index(directory, findings);
  const Opened opened = open_cache(directory, tracks, findings);
  std::unique_ptr<const ViewMaker> views;
  if (!options.images.empty() && opened.cache != nullptr) views = open_images(*opened.cache, options);

  const auto look = [&](const fs::path& file) {
    std::error_code none;
    const std::uint64_t bytes = fs::file_size(file, none);
    if (none) return;
    ++report.files;
    report.bytes += bytes;
  };
  for (const char* name : {"index.h5", "plan.json"}) look(directory / name);
  std::vector<FileTask> tasks;
  std::vector<std::unique_ptr<const Manifest>> manifests;
  const auto add_directory = [&](const fs::path& at, const TrackReader* reader) {
    look(at / kManifestName);
    auto manifest = read_manifest(at, findings, report.unlisted);
    if (manifest) manifests.push_back(std::make_unique<const Manifest>(std::move(*manifest)));
    const Manifest* listed = manifest ? manifests.back().get() : nullptr;
    const std::vector<ShardFile> shards = list_shards(at, findings);
    if (reader != nullptr) check_recipes_there(*opened.cache, *reader, shards, findings);
    for (const ShardFile& shard : shards)
      tasks.push_back(
          {at / shard_file_name(shard.number), shard.number, opened.cache.get(), reader, listed, shard.bytes});
    if (opened.cache != nullptr)
      add_incomplete(at.lexically_relative(directory).generic_string(), shards, opened.cache->plan().shards_per_pass(),
                     report.incomplete);
  };
  add_directory(directory / "recipes", nullptr);
  for (const fs::path& track : tracks) {
    const auto reader = std::ranges::find_if(
        opened.readers, [&](const auto& r) { return directory / r->track().directory() == track; });
    // With an index or a basis that cannot be read, a track's files still have tables and frames.
    add_directory(track, reader == opened.readers.end() ? nullptr : reader->get());
    for (const char* name : {"track.json", "basis.h5"}) look(track / name);
    if (fs::exists(track / "basis.h5")) check_container(track / "basis.h5", findings, Remedy::kRemake);
    if (opened.cache == nullptr && !fs::exists(track / "track.json"))
      findings.add(track / "track.json", "", -1, "is missing, but there are shards", Remedy::kRemake);
  }

  const std::uint64_t done = report.bytes;
  report.files += tasks.size();
  for (const FileTask& task : tasks) report.bytes += task.bytes;
  const unsigned threads = options.threads > 0 ? options.threads : default_threads();
  tbb::task_arena arena(static_cast<int>(threads));
  Progress progress("verify", "KB", report.bytes / 1000, done / 1000);
  FileCounts counts;
  arena.execute([&] {
    tbb::parallel_for(std::size_t{0}, tasks.size(), [&](std::size_t i) {
      check_file(tasks[i], views.get(), findings, counts);
      progress.advance(tasks[i].bytes / 1000);
    });
  });
  progress.finish();
  report.groups = counts.groups;
  report.pictures = counts.pictures;
  add_track_faults(opened.faults, findings);
  report.findings = findings.sorted();
  return report;
}

}  // namespace vitrine
