#include "tools/inspect/gap.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/error.h"
#include "common/base/shell.h"
#include "common/cache/shard_directory.h"
#include "tools/inspect/recode.h"

namespace vitrine {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRecipes = "recipes";

// "vit.0123abcd" for "vit.0123abcd/logits".
std::string teacher_of(const std::string& directory) {
  return directory.substr(0, directory.find('/'));
}

bool is_recoded(const TrackInfo& track) {
  return !track.recoded_from.empty();
}

// Made by another program (FORMAT.md), so that no command of this one makes it again.
bool is_of_a_writer(const TrackInfo& track) {
  const std::string& family = track.teacher.architecture.family;
  return !is_recoded(track) && family != "vit" && family != "module";
}

std::string recode_command(const TrackInfo& track, const fs::path& to) {
  const auto exact = [](double number) { return nlohmann::json(number).dump(); };
  std::string command =
      text("vitrine-cache recode SOURCE --from ", shell_word(track.directory()), " --to ", shell_word(to.string()),
           " --encoding ", encoding_name(track.codec.encoding), " --level ", track.compression.level);
  if (track.compression.window_log != 0) command += text(" --window ", track.compression.window_log);
  if (track.codec.max_error > 0) command += text(" --max-error ", exact(track.codec.max_error));
  if (track.codec.kept > 0) command += text(" --kept ", track.codec.kept);
  for (const double temperature : track.codec.temperatures)
    command += text(temperature == track.codec.temperatures[0] ? " --temperatures " : ",", exact(temperature));
  if (track.calibration_views > 0) command += text(" --calibration-views ", track.calibration_views);
  return command;
}

// A track whose gaps are to be filled.
struct IncompleteTrack {
  std::string directory;
  std::set<std::uint64_t> shards;  // existing or in its gap
  std::set<std::uint32_t> passes;  // to extract again
  bool whole(std::uint32_t pass, const ShardLayout& layout) const {
    for (std::uint32_t shard = 0; shard < layout.shards_per_pass(); ++shard)
      if (!shards.contains(layout.number_of(ShardKey{pass, shard}))) return false;
    return true;
  }
};

// The passes and targets of one extraction.
struct Run {
  std::uint32_t first, count;
  std::set<std::string> directories;
};

// Runs for the incomplete tracks of one teacher. A pass joins the previous run if their targets have no other gaps in
// each other's passes.
std::vector<Run> runs_of(const std::vector<const IncompleteTrack*>& tracks, const ShardLayout& layout) {
  std::set<std::uint32_t> passes;
  for (const IncompleteTrack* track : tracks) passes.insert(track->passes.begin(), track->passes.end());
  std::vector<Run> runs;
  std::set<std::string> allowed;  // targets allowed in all passes of the last run
  for (const std::uint32_t pass : passes) {
    std::set<std::string> needed, possible;
    for (const IncompleteTrack* track : tracks) {
      const bool gap = track->passes.contains(pass);
      if (gap) needed.insert(track->directory);
      if (gap || track->whole(pass, layout)) possible.insert(track->directory);
    }
    if (!runs.empty() && runs.back().first + runs.back().count == pass) {
      std::set<std::string> both = runs.back().directories, common;
      both.insert(needed.begin(), needed.end());
      std::ranges::set_intersection(allowed, possible, std::inserter(common, common.end()));
      if (std::ranges::includes(common, both)) {
        runs.back() = {runs.back().first, runs.back().count + 1, both};
        allowed = common;
        continue;
      }
    }
    runs.push_back({pass, 1, needed});
    allowed = possible;
  }
  return runs;
}

std::string extract_command(const std::string& config, const fs::path& cache, const Run& run) {
  std::string features, attention;
  bool logits = false, embedding = false;
  for (const std::string& directory : run.directories) {
    const std::string name = directory.substr(directory.find('/') + 1), block = name.substr(name.find('.') + 1);
    std::string* const blocks = name.starts_with("features.")    ? &features
                                : name.starts_with("attention.") ? &attention
                                                                 : nullptr;
    if (blocks != nullptr)
      *blocks += (blocks->empty() ? "" : ", ") + block;
    else
      (name == "embedding" ? embedding : logits) = true;
  }
  std::string command = text("vitrine-extract ", config, " --set ", shell_word("cache=" + cache.string()),
                             " --set first_pass=", run.first, " --set passes=", run.count);
  if (run.directories.empty())
    command += " --recipes";
  else
    command +=
        text(" --set taps.logits=", logits ? "true" : "false", " --set taps.embedding=", embedding ? "true" : "false",
             " --set 'taps.features=[", features, "]' --set 'taps.attention=[", attention, "]'");
  return command;
}

// The known tracks of a cache, and the commands that fill its gaps.
class Filler {
 public:
  Filler(fs::path cache, const Plan& plan, const std::vector<TrackInfo>& tracks)
      : cache_(std::move(cache)), layout_(plan.layout()), tracks_(tracks) {}

  void fill(const Gap& gap) {
    const auto track = std::ranges::find(tracks_, gap.directory, &TrackInfo::directory);
    if (track != tracks_.end() && is_recoded(*track)) {
      recoded_[gap.directory] = &*track;
      return;
    }
    if (track != tracks_.end() && is_of_a_writer(*track)) {
      rewritten_.push_back(gap.directory);
      return;
    }
    IncompleteTrack& incomplete = incomplete_track(gap.directory);
    incomplete.shards.insert(gap.shards.begin(), gap.shards.end());
    incomplete.passes.insert(gap.passes.begin(), gap.passes.end());
    // Any run of the track writes its track.json and basis.h5.
    if (gap.passes.empty())
      incomplete.passes.insert(incomplete.shards.empty() ? 0 : layout_.key_of(*incomplete.shards.begin()).pass);
  }

  // Call after all other gaps: any run over a pass writes its recipes.
  void fill_recipes(const Gap& gap) {
    for (const std::uint32_t pass : gap.passes) {
      if (std::ranges::any_of(incomplete_,
                              [&](const auto& incomplete) { return incomplete.second.passes.contains(pass); }))
        continue;
      const auto holds = [&](const std::string& directory) {
        const IncompleteTrack& incomplete = incomplete_track(directory);
        return std::ranges::all_of(gap.shards, [&](std::uint64_t shard) {
          return layout_.pass_of(shard) != pass || incomplete.shards.contains(shard);
        });
      };
      if (std::ranges::any_of(recoded_, [&](const auto& track) { return holds(track.first); })) continue;
      const TrackInfo* least = nullptr;  // the track whose command makes the fewest other files
      int makes = 3;
      for (const TrackInfo& track : tracks_) {
        if (is_of_a_writer(track) || !holds(track.directory())) continue;
        // Nothing else, the source's further shards, or the rest of the pass.
        const int now = is_recoded(track) ? 1 : incomplete_track(track.directory()).whole(pass, layout_) ? 0 : 2;
        if (now < makes) least = &track, makes = now;
      }
      if (least == nullptr)
        alone_.insert(pass);
      else if (is_recoded(*least))
        recoded_[least->directory()] = least;
      else
        incomplete_track(least->directory()).passes.insert(pass);
    }
  }

  GapFilling filling() const { return {commands(), rewritten_}; }

 private:
  std::vector<std::string> commands() const {
    std::map<std::string, std::vector<const IncompleteTrack*>> teachers;
    for (const auto& [directory, incomplete] : incomplete_)
      if (!incomplete.passes.empty()) teachers[teacher_of(directory)].push_back(&incomplete);
    std::set<std::string> known;  // teachers whose tracks were extracted
    for (const auto& [teacher, incomplete] : teachers) known.insert(teacher);
    for (const TrackInfo& track : tracks_)
      if (!is_recoded(track) && !is_of_a_writer(track)) known.insert(teacher_of(track.directory()));
    std::vector<std::string> out;
    for (const auto& [teacher, incomplete] : teachers)
      for (const Run& run : runs_of(incomplete, layout_))
        out.push_back(extract_command(known.size() > 1 ? "CONFIG-" + teacher + ".toml" : "CONFIG.toml", cache_, run));
    for (const std::uint32_t pass : alone_) out.push_back(extract_command("CONFIG.toml", cache_, {pass, 1, {}}));
    for (const auto& [directory, track] : recoded_) out.push_back(recode_command(*track, cache_));
    return out;
  }

  IncompleteTrack& incomplete_track(const std::string& directory) {
    if (const auto there = incomplete_.find(directory); there != incomplete_.end()) return there->second;
    const ShardDirectory shard_directory(cache_ / directory, nullptr);
    return incomplete_[directory] = {
               directory, {shard_directory.numbers().begin(), shard_directory.numbers().end()}, {}};
  }

  fs::path cache_;
  ShardLayout layout_;
  const std::vector<TrackInfo>& tracks_;
  std::map<std::string, IncompleteTrack> incomplete_;  // by directory; extracted if they have passes
  std::map<std::string, const TrackInfo*> recoded_;    // to recode again
  std::vector<std::string> rewritten_;                 // to write again
  std::set<std::uint32_t> alone_;                      // passes with recipes but without a track's shards
};

}  // namespace

std::string prepare_command(const fs::path& cache, const std::vector<TrackInfo>& tracks) {
  const bool extracted =
      std::ranges::any_of(tracks, [](const TrackInfo& track) { return !is_recoded(track) && !is_of_a_writer(track); });
  return text("vitrine-extract CONFIG.toml --set ", shell_word("cache=" + cache.string()), " --prepare",
              extracted ? "" : " --recipes");
}

std::string write_again(const std::string& directory) {
  return text("run the program that wrote ", directory,
              " again (missing() of its vitrine_cache.Writer gives these groups)");
}

GapFilling fill_gaps(const fs::path& cache, const Plan& plan, const std::vector<TrackInfo>& tracks,
                     const std::vector<Gap>& gaps) {
  Filler filler(cache, plan, tracks);
  for (const Gap& gap : gaps)
    if (gap.directory != kRecipes) filler.fill(gap);
  for (const Gap& gap : gaps)
    if (gap.directory == kRecipes) filler.fill_recipes(gap);
  return filler.filling();
}

}  // namespace vitrine
