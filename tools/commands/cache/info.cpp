// vitrine-cache info: prints the contents of a cache directory.
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "common/base/error.h"
#include "common/base/json_text.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/preparation.h"
#include "common/cache/track.h"
#include "common/cache/writer.h"
#include "tools/commands/cache/command.h"
#include "tools/commands/cache/findings.h"
#include "tools/inspect/leftovers.h"
#include "tools/inspect/loss_summary.h"
#include "tools/inspect/recode.h"
#include "tools/inspect/track_state.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

struct State {
  std::vector<TrackState> tracks;
  std::vector<Unreadable> unreadable;  // by the tracks' directories
  std::vector<std::string> set_aside;
  // Of what an extraction was prepared to make, over all its parts; nothing without a prepared.json that can be read.
  std::optional<std::vector<ShardProgress>> progress;
  std::string no_progress;  // why there is none

  bool sound() const {
    return unreadable.empty() &&
           std::ranges::all_of(tracks, [](const auto& track) { return track.unreadable.empty(); });
  }
};

void examine_progress(const Cache& cache, State& state) {
  try {
    if (const auto preparation = read_preparation(cache.directory(), cache.plan().hash()))
      state.progress = shard_progress(cache.directory(), *preparation, cache.plan().shards_per_pass());
    else
      state.no_progress = text("there is no ", kPreparationFile, ", which vitrine-extract writes before the shards");
  } catch (const Error& error) {
    state.no_progress = error.what();
  }
}

State examine(const Cache& cache) {
  State state;
  examine_progress(cache, state);
  state.set_aside = set_aside_below(cache.directory());
  for (const Cache::BadTrack& track : cache.bad_tracks())
    state.unreadable.push_back({track.directory, track.error.what()});
  for (const TrackInfo& info : cache.tracks()) try {
      state.tracks.push_back(examine_track(cache, info));
    } catch (const Error& error) {
      state.unreadable.push_back({info.directory(), error.what()});  // its basis.h5
    }
  return state;
}

void print_tracks(const std::vector<TrackState>& tracks) {
  std::cout << "tracks:\n";
  std::vector<std::vector<std::string>> rows{
      {"track", "shape", "encoding", "passes", "shards", "bytes per view", "total"}};
  double total = 0, a_view = 0;
  for (const TrackState& track : tracks) {
    total += static_cast<double>(track.bytes);
    a_view += track.bytes_per_view();
    std::string shards = human_count(track.shards);
    if (!track.unreadable.empty()) shards += ", " + human_count(track.unreadable.size()) + " not readable";
    rows.push_back({track.info->directory(), shape_words(track.info->shape), codec_words(track.info->codec),
                    range_words(track.passes), shards, human_bytes(track.bytes_per_view()),
                    human_bytes(static_cast<double>(track.bytes))});
  }
  rows.push_back({"all", "", "", "", "", human_bytes(a_view), human_bytes(total)});
  print_table(rows);
}

using Values = std::vector<std::pair<std::string, std::string>>;  // by their JSON keys with parents

std::string value_words(const nlohmann::ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : value.dump();
}

void add_values(const nlohmann::ordered_json& object, const std::string& above, Values& out) {
  for (const auto& [key, value] : object.items())
    if (value.is_object())
      add_values(value, above + key + ".", out);
    else
      out.emplace_back(above + key, value_words(value));
}

// A track's provenance, without its teacher's name.
Values provenance_of(const TrackInfo& track) {
  Values out;
  nlohmann::ordered_json teacher = to_json(track.teacher);
  teacher.erase("name");
  add_values(teacher, "", out);
  add_values(to_json(track.made_with), "", out);
  if (track.kind == "attention")
    out.emplace_back("heads", (track.rollout      ? "rollout of "
                               : track.heads_mean ? "mean of "
                                                  : std::string()) +
                                  (track.heads.empty() ? "all" : nlohmann::json(track.heads).dump()));
  std::string chain;
  for (const EncodingRecord& encoding : track.recoded_from)
    chain +=
        (chain.empty() ? "" : "; then ") + (encoding.unknown.empty() ? codec_words(encoding.codec) : encoding.unknown);
  if (!chain.empty()) out.emplace_back("recoded_from", chain);
  if (track.calibration_views > 0) out.emplace_back("calibration_views", std::to_string(track.calibration_views));
  return out;
}

// Prints values shared by all tracks of a teacher once, others with the tracks' names.
void print_provenance(const std::vector<TrackState>& tracks) {
  std::vector<std::vector<std::string>> rows;
  for (std::size_t first = 0, end; first < tracks.size(); first = end) {
    const std::string teacher = teacher_directory(*tracks[first].info);
    for (end = first; end < tracks.size() && teacher_directory(*tracks[end].info) == teacher; ++end) continue;
    std::vector<std::pair<std::pair<std::string, std::string>, std::vector<std::string>>> values;  // with their tracks
    for (std::size_t t = first; t < end; ++t)
      for (const auto& value : provenance_of(*tracks[t].info)) {
        auto found = std::ranges::find(values, value, [](const auto& entry) { return entry.first; });
        if (found == values.end()) found = values.insert(values.end(), {value, {}});
        found->second.push_back(tracks[t].info->name());
      }
    for (const auto& [value, names] : values) {
      std::string who = teacher;
      if (names.size() < end - first) {
        who += '/';
        for (const std::string& name : names) who += (name == names[0] ? "" : ", ") + name;
      }
      rows.push_back({who, value.first, value.second});
    }
  }
  print_table(rows);
}

void print_losses(const std::vector<TrackState>& tracks) {
  std::vector<std::vector<std::string>> rows;
  for (const TrackState& track : tracks)
    if (!track.loss.empty()) rows.push_back({track.info->directory(), loss_words(track.loss)});
  if (rows.empty()) return;
  std::cout << "measured losses:\n";
  print_table(rows);
}

// The fields of a record that differ among all records.
std::string differing_words(const ComputeRecord& record, const std::vector<ArithmeticKind>& all) {
  std::set<std::string> keys;
  for (const ArithmeticKind& kind : all)
    for (const JsonDifference& difference : differences(all.front().made_with, kind.made_with))
      keys.insert(difference.key);
  Values values;
  add_values(to_json(record), "", values);
  std::string words;
  for (const auto& [key, value] : values)
    if (keys.contains(key)) words += (words.empty() ? "" : ", ") + key + " " + value;
  return words;
}

// For tracks whose shards were made by different kinds of machines: the differing fields and numbers of shards.
void print_mixed(const std::vector<TrackState>& tracks) {
  std::vector<std::vector<std::string>> rows;
  for (const TrackState& track : tracks) {
    if (track.kinds.size() < 2) continue;
    for (const ArithmeticKind& kind : track.kinds)
      rows.push_back({track.info->directory(), human_count(kind.shards) + " shards",
                      differing_words(kind.made_with, track.kinds)});
  }
  if (rows.empty()) return;
  std::cout << "mixed arithmetic:\n";
  print_table(rows);
}

// "00012-00019, 00031"; beyond a few ranges their number.
std::string missing_words(const ShardProgress& progress) {
  constexpr std::size_t kMaxShown = 6;
  std::string words;
  for (std::size_t i = 0; i < std::min(kMaxShown, progress.missing.size()); ++i) {
    const auto& [first, last] = progress.missing[i];
    const auto digits = [](std::uint64_t number) {
      return std::filesystem::path(shard_file_name(number)).stem().string();
    };
    words += (words.empty() ? "" : ", ") + digits(first) + (first == last ? "" : "-" + digits(last));
  }
  if (progress.missing.size() > kMaxShown)
    words += text(" and ", human_count(progress.missing.size() - kMaxShown), " more ranges (--json lists them)");
  return words.empty() ? "none" : words;
}

std::string pass_words(const std::vector<PassRange>& passes) {
  std::string words;
  for (const PassRange& range : passes) {
    words += text(words.empty() ? "" : ", ", range.first);
    if (range.count > 1) words += text("-", range.past() - 1);
  }
  return words;
}

// How far the extraction is, over all its parts, and which shards are missing.
void print_progress(const State& state) {
  if (!state.progress) {
    std::cout << "extraction: what it is to make is not known (" << state.no_progress << ")\n";
    return;
  }
  std::uint64_t wanted = 0, there = 0;
  std::vector<std::vector<std::string>> rows{{"prepared", "passes", "shards", "missing"}};
  for (const ShardProgress& progress : *state.progress) {
    wanted += progress.wanted, there += progress.there;
    rows.push_back({progress.directory, pass_words(progress.passes),
                    text(human_count(progress.there), " of ", human_count(progress.wanted)), missing_words(progress)});
  }
  std::cout << "extraction: " << human_count(there) << " of " << human_count(wanted) << " files, "
            << (wanted == 0 ? 100 : 100 * there / wanted) << " %"
            << (there == wanted ? ", complete" : "; vitrine-extract makes those that are missing") << '\n';
  print_table(rows);
}

nlohmann::ordered_json progress_json(const State& state) {
  if (!state.progress) return nullptr;
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const ShardProgress& progress : *state.progress) {
    nlohmann::ordered_json passes = nlohmann::ordered_json::array();
    for (const PassRange& range : progress.passes) passes.push_back({{"first", range.first}, {"count", range.count}});
    out.push_back({{"directory", progress.directory},
                   {"passes", passes},
                   {"wanted", progress.wanted},
                   {"there", progress.there},
                   {"missing", progress.missing}});
  }
  return out;
}

void print_unreadable(const State& state) {
  if (state.sound()) return;
  std::cout << "not readable (for details run vitrine-cache verify, to fix it repair):\n";
  std::vector<std::vector<std::string>> rows;
  for (const Unreadable& track : state.unreadable) rows.push_back({track.where, track.what});
  for (const TrackState& track : state.tracks) {
    if (track.unreadable.empty()) continue;
    const std::size_t more = track.unreadable.size() - 1;
    rows.push_back({track.info->directory(),
                    track.unreadable.front().what + (more == 0 ? "" : "; and " + human_count(more) + " more")});
  }
  print_table(rows);
}

void print_words(const Cache& cache, const State& state) {
  const Plan& plan = cache.plan();
  std::cout << cache.directory().string() << ": " << cache.index().describe() << "\n"
            << "plan " << plan.hash().substr(0, 8) << ": " << human_count(plan.groups_per_pass()) << " groups of "
            << plan.options().group << " views per pass"
            << (plan.layout().views_per_pass() == plan.index().images.size()
                    ? ", "
                    : " (the last is filled up with the pass's first images), ")
            << human_count(plan.shards_per_pass()) << " shards per pass; recipes of passes "
            << range_words(cache.recipe_passes()) << "\n";
  const auto json = nlohmann::ordered_json::parse(plan.json());
  std::vector<std::vector<std::string>> settings;
  for (const auto& [key, value] : json["settings"].items()) settings.push_back({key, value.dump()});
  print_table(settings);
  if (!state.tracks.empty()) {
    print_tracks(state.tracks);
    print_losses(state.tracks);
    std::cout << "provenance:\n";
    print_provenance(state.tracks);
    print_mixed(state.tracks);
  } else if (state.unreadable.empty()) {
    std::cout << "tracks: none\n";
  }
  print_progress(state);
  print_unreadable(state);
  print_set_aside(state.set_aside);
}

nlohmann::ordered_json unreadable_json(const char* where, const std::vector<Unreadable>& unreadable) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const Unreadable& entry : unreadable) out.push_back({{where, entry.where}, {"what", entry.what}});
  return out;
}

void print_json(const Cache& cache, const State& state) {
  nlohmann::ordered_json out;
  out["images"] = cache.index().images.size();
  out["classes"] = cache.index().classes.size();
  out["labelled"] = cache.index().labelled();
  out["plan_hash"] = cache.plan().hash();
  out["plan"] = nlohmann::ordered_json::parse(cache.plan().json());
  out["recipe_passes"] = cache.recipe_passes();
  out["prepared"] = progress_json(state);
  out["tracks"] = nlohmann::ordered_json::array();
  for (const TrackState& track : state.tracks) {
    nlohmann::ordered_json entry;
    entry["directory"] = track.info->directory();
    entry["track"] = nlohmann::ordered_json::parse(track.info->json());
    entry["passes"] = track.passes;
    entry["shards"] = track.shards;
    entry["unreadable"] = unreadable_json("file", track.unreadable);
    entry["views"] = track.views;
    entry["bytes"] = track.bytes;
    entry["bytes_per_view"] = track.bytes_per_view();
    entry["loss"] = track.loss;
    entry["made_with"] = nlohmann::ordered_json::array();
    for (const ArithmeticKind& kind : track.kinds)
      entry["made_with"].push_back({{"shards", kind.shards}, {"arithmetic", to_json(kind.made_with)}});
    out["tracks"].push_back(entry);
  }
  out["unreadable"] = unreadable_json("directory", state.unreadable);
  out["set_aside"] = state.set_aside;
  std::cout << json_text(out);
}

int info(const std::string& directory, bool json) {
  const Cache cache(directory);
  const State state = examine(cache);
  json ? print_json(cache, state) : print_words(cache, state);
  return state.sound() ? 0 : 1;
}

struct InfoRequest {
  std::string directory;
  bool json = false;
};

}  // namespace

void add_info(CommandLine& line, Body& chosen) {
  const auto request = std::make_shared<InfoRequest>();
  CommandLine& command = line.add_subcommand("info", "prints images, plan and tracks, with complete passes and sizes");
  command.add_option("DIR", request->directory, "the cache's directory").required();
  command.add_flag("--json", request->json, "print JSON, for programs");
  command.footer(
      "Exit codes: 0 all tables can be read, 1 a track or a shard cannot be read, 2 bad input; others as "
      "vitrine-cache\n"
      "--help says.");
  command.callback([request, &chosen] { chosen = [request] { return info(request->directory, request->json); }; });
}

}  // namespace vitrine
