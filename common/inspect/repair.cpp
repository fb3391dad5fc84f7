#include "common/inspect/repair.h"

#include <algorithm>
#include <map>
#include <set>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/cache/cache.h"
#include "common/cache/manifest.h"
#include "common/cache/shard_name.h"
#include "common/inspect/track_copy.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

// Whether removing it takes one file and nothing else.
bool is_plain(const fs::path& path) {
  std::error_code failure;
  const fs::file_status status = fs::symlink_status(path, failure);
  return fs::is_regular_file(status) || fs::is_symlink(status);
}

// The cache's tracks, those that are restored among them.
std::vector<TrackInfo> all_tracks(const Cache& cache, const std::map<std::string, std::string>& restored) {
  std::vector<TrackInfo> tracks = cache.tracks();
  for (const auto& [file, json] : restored) {
    TrackInfo track = TrackInfo::from_json(json, file);
    std::erase_if(tracks, [&](const TrackInfo& other) { return other.directory() == track.directory(); });
    tracks.push_back(std::move(track));
  }
  return tracks;
}

// Temporary files of the cache's own files, in its directory and two below, whose writers are gone.
std::vector<std::string> abandoned_below(const fs::path& cache) {
  const auto is_ours = [](const std::string& name) {
    const std::string whole = name.substr(0, name.find(".part."));
    const auto others = {"index.h5", "plan.json", "track.json", "basis.h5", kManifestName};
    return shard_number_of(whole) || std::ranges::find(others, whole) != others.end();
  };
  std::vector<std::string> out;
  const auto look = [&](const fs::path& directory) {
    for (const fs::path& file : abandoned_in(directory))
      if (is_ours(file.filename().string()) && is_plain(file))
        out.push_back(file.lexically_relative(cache).generic_string());
  };
  std::error_code failure, unknown;
  look(cache);
  for (fs::directory_iterator below(cache, failure), end; !failure && below != end; below.increment(failure)) {
    if (!below->is_directory(unknown)) continue;
    look(below->path());
    for (fs::directory_iterator track(below->path(), unknown); !unknown && track != end; track.increment(unknown))
      if (std::error_code none; track->is_directory(none)) look(track->path());
  }
  std::ranges::sort(out);
  return out;
}

std::vector<Gap> gaps_of(const std::set<std::string>& remake, std::uint32_t shards_per_pass) {
  std::map<std::string, Gap> gaps;
  for (const std::string& file : remake) {
    Gap& gap = gaps[fs::path(file).parent_path().generic_string()];
    const auto number = shard_number_of(fs::path(file).filename().string());
    if (!number) continue;  // a track.json or basis.h5: any run for the track writes it
    gap.shards.push_back(*number);
    gap.passes.push_back(static_cast<std::uint32_t>(*number / shards_per_pass));
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

}  // namespace

RepairPlan plan_repair(const fs::path& directory, const VerifyReport& report) {
  RepairPlan plan;
  std::set<std::string> remake, relist, restore;
  for (Finding finding : report.findings) {
    const std::string above = fs::path(finding.file).parent_path().generic_string();
    switch (finding.remedy) {
      case Remedy::kCopy:
        plan.unrepairable.push_back(finding);
        break;
      case Remedy::kRemake:
        if (fs::exists(directory / finding.file) && !is_plain(directory / finding.file)) {
          finding.remedy = Remedy::kMove;
          plan.left.push_back(finding);
          break;
        }
        remake.insert(finding.file);
        if (fs::exists(directory / above / kManifestName)) relist.insert(above);
        break;
      case Remedy::kRestore:
        restore.insert(finding.file);
        break;
      case Remedy::kRelist:
        relist.insert(above);
        break;
      case Remedy::kMove:
      case Remedy::kImages:
        plan.left.push_back(finding);
        break;
    }
  }
  if (!plan.unrepairable.empty()) return plan;
  const Cache cache(directory);
  for (const std::string& file : restore)
    if (const auto copy = track_copy(cache.plan(), (directory / file).parent_path()))
      plan.restore[file] = copy->json;
    else
      remake.insert(file);  // changed since
  for (const std::string& file : remake)
    if (is_plain(directory / file)) plan.remove.push_back(file);
  plan.abandoned = abandoned_below(directory);
  plan.relist.assign(relist.begin(), relist.end());
  plan.gaps = gaps_of(remake, cache.plan().shards_per_pass());
  plan.commands = gap_commands(directory, cache.plan(), all_tracks(cache, plan.restore), plan.gaps);
  return plan;
}

void carry_out(const fs::path& directory, const RepairPlan& plan) {
  if (!plan.unrepairable.empty())
    fail((directory / plan.unrepairable[0].file).string(), ": ", plan.unrepairable[0].what, "; ",
         remedy_words(plan.unrepairable[0].remedy));
  for (const auto& [file, json] : plan.restore) publish(directory / file, json);
  std::vector<std::string> remove = plan.remove;
  remove.insert(remove.end(), plan.abandoned.begin(), plan.abandoned.end());
  for (const std::string& file : remove) {
    std::error_code failure;
    if (fs::exists(fs::symlink_status(directory / file, failure)) && !is_plain(directory / file))
      fail((directory / file).string(), ": is not a plain file; look at it and remove it by hand");
    fs::remove(directory / file, failure);
    if (failure)
      fail((directory / file).string(), ": cannot be removed (", failure.message(), "); make the directory writable");
  }
  for (const std::string& above : plan.relist) {
    // One that cannot be read would stop its own renewal.
    std::error_code failure;
    try {
      Manifest::read(directory / above);
    } catch (const Error&) {
      fs::remove(directory / above / kManifestName, failure);
    }
    refresh_manifest(directory / above);
  }
}

}  // namespace vitrine
