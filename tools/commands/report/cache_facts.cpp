#include "tools/commands/report/cache_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "tools/inspect/track_state.h"
#include "tools/inspect/track_words.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

std::string teacher_words(const TrackInfo& track) {
  const TeacherRecord& teacher = track.teacher;
  std::string out = text(teacher.name, ", computed in ", track.made_with.precision, ", weights ",
                         teacher.weights_sha256.substr(0, 12));
  if (teacher.zero_shot) out += ", zero-shot classes";
  if (!teacher.license.empty()) out += ", licence " + teacher.license;
  return out;
}

TrackFacts facts_of(const TrackState& state) {
  const TrackInfo& track = *state.info;
  return {track.name(),
          teacher_directory(track),
          shape_words(track.shape),
          encoding_words(track.codec),
          range_words(state.passes),
          bound_words(track.codec),
          measured_words(state.loss),
          state.bytes,
          state.views};
}

}  // namespace

CacheFacts read_cache_facts(const std::string& directory) {
  const Cache cache(directory);
  CacheFacts out{directory, cache.plan().hash(), cache.index().describe(), {}, {}, {}, {}};
  const auto plan = nlohmann::ordered_json::parse(cache.plan().json());
  for (const auto& [key, value] : plan["settings"].items()) out.plan.emplace_back(key, value.dump());
  for (const Cache::BadTrack& track : cache.bad_tracks())
    out.unreadable.push_back(text(track.directory, ": ", track.error.what()));
  for (const TrackInfo& info : cache.tracks()) try {
      const TrackState state = examine_track(cache, info);
      out.tracks.push_back(facts_of(state));
      const std::pair<std::string, std::string> teacher{teacher_directory(info), teacher_words(info)};
      if (std::ranges::find(out.teachers, teacher) == out.teachers.end()) out.teachers.push_back(teacher);
      if (!state.unreadable.empty())
        out.unreadable.push_back(text(info.directory(), ": ", human_count(state.unreadable.size()),
                                      " shards cannot be read; ", state.unreadable.front().what));
    } catch (const Error& error) {
      out.unreadable.push_back(text(info.directory(), ": ", error.what()));
    }
  return out;
}

}  // namespace vitrine
