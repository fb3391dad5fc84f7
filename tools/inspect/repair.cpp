#include "tools/inspect/repair.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <set>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/cache.h"
#include "common/cache/preparation.h"
#include "common/cache/shard_directory.h"
#include "common/cache/teacher_classes.h"
#include "tools/inspect/leftovers.h"
#include "tools/inspect/track_copy.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Whether it is a file or a link, so that renaming it moves nothing else.
bool is_plain(const fs::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return S_ISREG(status.st_mode) || S_ISLNK(status.st_mode);
  if (errno != ENOENT && errno != ENOTDIR) fail_system(errno, path.string(), "cannot be examined");
  return false;
}

// The cache's tracks, including restored ones, and those that only lack their class names.
std::vector<TrackInfo> all_tracks(const Cache& cache, const std::map<std::string, std::string>& restored) {
  std::vector<TrackInfo> tracks = cache.tracks();
  for (const Cache::BadTrack& bad : cache.bad_tracks()) {
    const fs::path file = cache.directory() / bad.directory / "track.json";
    if (fs::path(bad.error.problem().path).filename() == kTeacherClassesFile)
      tracks.push_back(TrackInfo::from_file_text(read_file(file), file.string()));
  }
  for (const auto& [file, json] : restored) {
    TrackInfo track = TrackInfo::from_file_text(json, file);
    std::erase_if(tracks, [&](const TrackInfo& other) { return other.directory() == track.directory(); });
    tracks.push_back(std::move(track));
  }
  return tracks;
}

std::vector<Gap> gaps_of(const std::set<std::string>& remake, const ShardLayout& layout) {
  std::map<std::string, Gap> gaps;
  for (const std::string& file : remake) {
    Gap& gap = gaps[fs::path(file).parent_path().generic_string()];
    const auto number = shard_number_of(fs::path(file).filename().string());
    if (!number) continue;  // a track.json or basis.h5: any run of the track writes it
    gap.shards.push_back(*number);
    gap.passes.push_back(layout.key_of(*number).pass);
  }
  std::vector<Gap> out;
  for (auto& [name, gap] : gaps) {
    gap.directory = name;
    std::ranges::sort(gap.shards);
    std::ranges::sort(gap.passes);
    gap.passes.erase(std::unique(gap.passes.begin(), gap.passes.end()), gap.passes.end());
    out.push_back(std::move(gap));
  }
  return out;
}

// Findings by the action on their files.
struct Sorted {
  std::set<std::string> remake, relist, restore;
  std::set<std::string> unread;  // unreadable or newer
};

Sorted sort_out(const fs::path& directory, const std::vector<Finding>& findings, RepairPlan& plan) {
  Sorted out;
  for (Finding finding : findings) {
    const std::string above = fs::path(finding.file).parent_path().generic_string();
    switch (finding.remedy) {
      case Remedy::kCopy:  // a lost classes.json keeps nothing else from being repaired
        (fs::path(finding.file).filename() == kTeacherClassesFile ? plan.left : plan.unrepairable).push_back(finding);
        break;
      case Remedy::kRemake:
        if (path_exists(directory / finding.file) && !is_plain(directory / finding.file)) {
          finding.remedy = Remedy::kMove;
          plan.left.push_back(finding);
          break;
        }
        out.remake.insert(finding.file);
        if (path_exists(directory / above / kManifestName)) out.relist.insert(above);
        break;
      case Remedy::kRestore:
        out.restore.insert(finding.file);
        break;
      case Remedy::kRelist:
        out.relist.insert(above);
        break;
      case Remedy::kRetry:
      case Remedy::kNewer:
        out.unread.insert(finding.file);
        plan.left.push_back(finding);
        break;
      case Remedy::kMove:
      case Remedy::kImages:
        plan.left.push_back(finding);
        break;
    }
  }
  return out;
}

// Recipes of which shards.json says something else although verify found them right: of a process that died before it
// listed them. Their sizes may be equal.
std::vector<FileRecord> replaced_recipes(const fs::path& directory) {
  std::vector<FileRecord> out;
  const std::optional<Manifest> listed = Manifest::read_all(directory);
  if (directory.filename() != "recipes" || !listed) return out;
  for (const std::string& name : compare_manifest(*listed, directory, true).changed)
    out.push_back(describe_file(directory / name));
  return out;
}

std::string below(const std::string& directory, const char* name) {
  return directory.empty() ? name : directory + "/" + name;
}

}  // namespace

RepairPlan plan_repair(const fs::path& directory, const VerifyReport& report) {
  RepairPlan plan;
  Sorted sorted = sort_out(directory, report.findings, plan);
  if (!report.opened && plan.unrepairable.empty()) std::swap(plan.unrepairable, plan.left);
  if (!plan.unrepairable.empty()) return plan;
  const Cache cache(directory);
  for (const std::string& file : sorted.restore)
    if (const auto copy = track_copy(cache.plan(), (directory / file).parent_path()))
      plan.restore[file] = copy->json;
    else
      sorted.remake.insert(file);  // changed since the check
  for (const std::string& file : sorted.remake)
    if (is_plain(directory / file)) plan.set_aside.push_back(file);
  const bool prepare = sorted.remake.erase(kPreparationFile) > 0;  // no shard's: it leaves no gap
  plan.abandoned = abandoned_below(directory);
  for (const std::string& above : sorted.relist)
    if (!sorted.unread.contains(below(above, kManifestName))) plan.relist.push_back(above);
  plan.gaps = gaps_of(sorted.remake, cache.plan().layout());
  // This version has no command for tracks that it does not know.
  std::vector<Gap> known = plan.gaps;
  std::erase_if(known, [&](const Gap& gap) { return sorted.unread.contains(below(gap.directory, "track.json")); });
  const std::vector<TrackInfo> tracks = all_tracks(cache, plan.restore);
  GapFilling filling = fill_gaps(directory, cache.plan(), tracks, known);
  plan.commands = std::move(filling.commands);
  plan.rewritten = std::move(filling.rewritten);
  if (prepare) plan.commands.insert(plan.commands.begin(), prepare_command(directory, tracks));
  return plan;
}

std::map<std::string, std::string> carry_out(const fs::path& directory, const RepairPlan& plan) {
  if (!plan.unrepairable.empty()) {
    const Finding& finding = plan.unrepairable[0];
    throw Error(finding.remedy == Remedy::kCopy    ? ErrorKind::kCorrupt
                : finding.remedy == Remedy::kNewer ? ErrorKind::kNewer
                                                   : ErrorKind::kIo,
                {.path = (directory / finding.file).string(),
                 .what = finding.what,
                 .remedy = std::string(remedy_words(finding.remedy))});
  }
  std::map<std::string, std::string> renamed;
  const auto set_aside = [&](const std::string& file) {
    const fs::path path = directory / file;
    if (!is_plain(path)) {
      if (!path_exists(path)) return;  // removed since the check
      throw Error(ErrorKind::kInput,
                  {.path = path.string(), .what = "is not a regular file", .remedy = "check it and move it by hand"});
    }
    renamed[file] = move_aside(path, kSetAside).lexically_relative(directory).generic_string();
  };
  for (const auto& [file, json] : plan.restore) {
    set_aside(file);
    publish(directory / file, json);
  }
  for (const std::string& file : plan.set_aside) set_aside(file);
  for (const std::string& file : plan.abandoned) remove_file(directory / file);
  for (const std::string& above : plan.relist) {
    // A damaged one would prevent its own rebuild.
    try {
      Manifest::read(directory / above);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kCorrupt) throw;
      set_aside(below(above, kManifestName));
    }
    refresh_manifest(directory / above, replaced_recipes(directory / above));
  }
  return renamed;
}

}  // namespace vitrine
