#include "tools/commands/report/cache_facts.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "common/base/error.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/codec/encoding.h"
#include "tools/inspect/recode.h"
#include "tools/inspect/track_state.h"
#include "tools/inspect/words.h"

namespace vitrine {
namespace {

// What CodecSettings::max_error bounds, in words.
std::string bound_words(const CodecSettings& codec) {
  if (codec.max_error <= 0) return "";
  if (codec.encoding == Encoding::kTransform) return "energy lost in a group \u2264 " + percent_words(codec.max_error);
  return "|error| of a value \u2264 " + number_words(codec.max_error);
}

// The encoding and its settings but for the bound.
std::string encoding_words(CodecSettings codec) {
  codec.max_error = 0;
  return codec_words(codec);
}

// The figures of CodecLoss::json(); what other versions add has its key as its name.
std::string measured_words(const nlohmann::ordered_json& loss) {
  constexpr std::pair<const char*, const char*> kNames[] = {{"relative_error", "energy lost"},
                                                            {"worst_group", "at most in a group"},
                                                            {"worst_token", "of a token"},
                                                            {"kl_1", "KL at \u03c4 = 1"},
                                                            {"worst_kl_1", "at most"},
                                                            {"kl_4", "at \u03c4 = 4"},
                                                            {"worst_kl_4", "at most"},
                                                            {"agreement", "same top-1"},
                                                            {"total_variation", "total variation"},
                                                            {"worst_total_variation", "at most"}};
  std::string out;
  for (const auto& [key, value] : loss.items()) {
    if (!value.is_number()) continue;
    const auto found = std::ranges::find_if(kNames, [&](const auto& known) { return key == known.first; });
    const double number = value.get<double>();
    const bool share = key == "relative_error" || key == "worst_group" || key == "worst_token" || key == "agreement";
    out += text(out.empty() ? "" : ", ", found == std::end(kNames) ? key : found->second, " ",
                share ? percent_words(number) : number_words(number));
  }
  return out;
}

std::string teacher_words(const TrackInfo& track) {
  const TeacherRecord& teacher = track.teacher;
  std::string out = text(teacher.name, ", computed in ", track.made_with.precision, ", weights ",
                         teacher.weights_sha256.substr(0, 12));
  if (teacher.zero_shot) out += ", zero-shot classes";
  if (!teacher.license.empty()) out += ", license " + teacher.license;
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

std::string percent_words(double share) {
  return number_words(100 * share) + " %";
}

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
