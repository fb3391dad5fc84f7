#include "train/run/provenance.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "common/base/counted.h"
#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json_difference.h"
#include "common/base/lines.h"
#include "common/base/progress.h"
#include "common/cache/cache.h"
#include "common/cache/shard_directory.h"
#include "common/cache/track.h"
#include "common/teacher/open_teacher.h"
#include "common/teacher/records.h"

namespace vitrine {
namespace {

constexpr std::pair<const char*, Difference> kWords[] = {
    {"teachers", Difference::kTeachers}, {"preprocessing", Difference::kPreprocessing},
    {"mixed", Difference::kMixed},       {"pictures", Difference::kPictures},
    {"tracks", Difference::kTracks},     {"chance", Difference::kChance}};

// What made a track or its shards: a name for messages, and the fields to compare.
struct Maker {
  std::string who;
  nlohmann::ordered_json how;
};

// Shortens hashes to the digits that directory names have.
std::string shown(const std::string& value) {
  constexpr std::size_t kHashAndQuotes = 66;
  return value.size() == kHashAndQuotes ? value.substr(0, 9) + "...\"" : value;
}

// Reports to `allowance`, for each field, the first maker that differs from makers[0]. Returns whether any does.
bool compare(const std::string& where, const std::vector<Maker>& makers, Difference kind, const std::string& remedy,
             Allowance& allowance) {
  std::set<std::string> met;
  for (const Maker& maker : makers)
    for (const JsonDifference& difference : json_differences(makers.front().how, maker.how)) {
      if (!met.insert(difference.key).second) continue;
      allowance.meet(kind,
                     text(where, ": ", difference.key, " of ", makers.front().who, " is ", shown(difference.recorded),
                          ", of ", maker.who, " ", shown(difference.given)),
                     remedy);
    }
  return !met.empty();
}

Maker weights_of(const TrackInfo& track) {
  return {track.directory(), {{"weights_sha256", track.teacher.weights_sha256}}};
}
Maker architecture_of(const TrackInfo& track) {
  return {track.directory(), {{"architecture", to_json(track.teacher).at("architecture")}}};
}
Maker colours_of(const std::string& who, const std::vector<double>& mean, const std::vector<double>& stddev) {
  return {who, {{"mean", mean}, {"std", stddev}}};
}
Maker preprocessing_of(const TrackInfo& track) {
  Maker out = colours_of(track.directory(), track.teacher.mean, track.teacher.stddev);
  out.how["interpolation"] = track.teacher.interpolation;
  return out;
}

// One per kind of arithmetic found in a sample of the track's shards. Unreadable shards are skipped; the stream reports
// them.
std::vector<Maker> makers_of_shards(const std::filesystem::path& cache, const TrackInfo& track) {
  constexpr std::size_t kMaxLookedAt = 1024;
  const ShardDirectory shard_directory(cache / track.directory(), nullptr);
  const std::vector<std::uint64_t>& numbers = shard_directory.numbers();
  const std::size_t count = std::min(numbers.size(), kMaxLookedAt);
  std::vector<ShardNotes> notes;
  for (std::size_t i = 0; i < count; ++i) try {
      notes.push_back(
          read_notes(Container(shard_directory.directory() / shard_file_name(numbers[i * numbers.size() / count]))));
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::kMemory) throw;
    }
  std::vector<Maker> out;
  const std::vector<ArithmeticKind> kinds = arithmetic_kinds(notes);
  for (const ArithmeticKind& kind : kinds) {
    std::string who = track.directory();
    if (kinds.size() > 1) who = text(counted(kind.shards, "shard"), " of ", who);
    out.push_back({std::move(who), to_json(kind.made_with)});
  }
  return out;
}

}  // namespace

std::string word_of(Difference kind) {
  return std::ranges::find(kWords, kind, &std::pair<const char*, Difference>::second)->first;
}

std::string allowance_words() {
  std::string out;
  for (const auto& [name, kind] : kWords) out += text(out.empty() ? "" : ", ", name);
  return out;
}

Allowance::Allowance(const std::string& words) {
  for (const std::string& word : comma_separated(words)) {
    const auto found = std::ranges::find_if(kWords, [&](const auto& known) { return word == known.first; });
    if (word == "module")
      fail("allow = \"", words, "\": module can only be given on the command line, as --allow module");
    if (found == std::end(kWords))
      fail("allow = \"", words, "\" names \"", word, "\", which is not a known difference; expected one of ",
           allowance_words());
    allowed_.insert(found->second);
  }
}

void Allowance::require(Difference kind, const std::string& difference, const std::string& remedy) const {
  if (!allows(kind)) fail(difference, "; ", remedy, ", or continue anyway with --allow ", word_of(kind));
}

void Allowance::meet(Difference kind, const std::string& difference, const std::string& remedy) {
  require(kind, difference, remedy);
  const std::string word = word_of(kind);
  note(text(difference, "; continuing, since allow has ", word));
  keep({word, difference});
}

void Allowance::keep(const AllowedDifference& difference) {
  if (std::ranges::find(met_, difference) == met_.end()) met_.push_back(difference);
}

namespace {

void check_tracks_of_teacher(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks,
                             Allowance& allowance) {
  std::vector<Maker> weights, architectures, preprocessing, of_shards;
  for (const TrackInfo& track : tracks) {
    weights.push_back(weights_of(track));
    architectures.push_back(architecture_of(track));
    preprocessing.push_back(preprocessing_of(track));
    for (Maker& maker : makers_of_shards(cache, track)) of_shards.push_back(std::move(maker));
  }
  const auto held = [&](const std::vector<Maker>& makers, Difference kind, const char* remedy) {
    return compare(cache.string(), makers, kind, remedy, allowance);
  };
  const char* const one_teacher = "name the tracks of one teacher (targets.cache_teacher)";
  // Different weights may have different architectures; equal weights must not.
  if (!held(weights, Difference::kTeachers, one_teacher)) held(architectures, Difference::kTeachers, one_teacher);
  held(preprocessing, Difference::kPreprocessing,
       "extract one of them again with the other's (teacher.mean, teacher.std)");
  held(of_shards, Difference::kMixed, "extract one of them again as the other, where equal bits matter");
}

}  // namespace

void check_tracks(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool several_teachers,
                  Allowance& allowance) {
  if (!several_teachers) return check_tracks_of_teacher(cache, tracks, allowance);
  std::map<std::string, std::vector<TrackInfo>> teachers;
  for (const TrackInfo& track : tracks) {
    const std::string directory = track.directory();
    teachers[directory.substr(0, directory.find('/'))].push_back(track);
  }
  for (const auto& [teacher, own] : teachers) check_tracks_of_teacher(cache, own, allowance);
}

TeacherOptions check_evaluation_teacher(const TrackInfo& track, const TeacherOptions& teacher, Allowance& allowance) {
  const std::string who = "the teacher " + teacher.file(), sha256 = teacher_sha256(teacher.file(), teacher.zero_shot);
  compare("targets.teacher", {weights_of(track), {who, {{"weights_sha256", sha256}}}}, Difference::kTeachers,
          "give the cache's teacher in targets.teacher.weights", allowance);
  const TeacherOptions filled = filled_from(track, sha256 == track.teacher.weights_sha256, teacher);
  compare("targets.teacher",
          {colours_of(track.directory(), track.teacher.mean, track.teacher.stddev),
           colours_of(who, filled.mean, filled.stddev)},
          Difference::kPreprocessing, "set targets.teacher.mean and targets.teacher.std as the cache has them",
          allowance);
  return filled;
}

TeacherOptions evaluation_teacher(const TargetOptions& targets, Allowance& allowance) {
  const TeacherOptions& teacher = targets.teacher;
  if (targets.source != TargetKind::kCache || targets.cache.empty()) return teacher;
  if (!path_exists(targets.cache)) {
    note(text(targets.cache, ": is gone, so what targets.teacher leaves empty is as the teacher's own files say"));
    return teacher;
  }
  const Cache cache(targets.cache);
  const std::string sha256 = teacher_sha256(teacher.file(), teacher.zero_shot);
  const auto made = std::ranges::find_if(
      cache.tracks(), [&](const TrackInfo& track) { return track.teacher.weights_sha256 == sha256; });
  if (made == cache.tracks().end()) return teacher;
  TeacherOptions out = check_evaluation_teacher(*made, teacher, allowance);
  if (out.name.empty()) out.name = made->teacher.name;
  return out;
}

std::vector<std::pair<std::string, TrackInfo>> by_name(const std::vector<TrackInfo>& tracks) {
  std::vector<std::pair<std::string, TrackInfo>> out;
  for (const TrackInfo& track : tracks) {
    const std::string name = track.name();
    const bool taken = std::ranges::any_of(out, [&](const auto& other) { return other.first == name; });
    out.emplace_back(taken ? track.directory() : name, track);
  }
  return out;
}

void check_resumed_tracks(const std::map<std::string, std::string>& before, const std::vector<TrackInfo>& now,
                          const std::string& where, Allowance& allowance) {
  if (before.empty()) return;
  const std::string remedy = "resume with the cache or the teacher as it was, or choose another output";
  const std::vector<std::pair<std::string, TrackInfo>> named = by_name(now);
  for (const auto& [name, track] : named) {
    const auto earlier = before.find(name);
    if (earlier == before.end()) {
      allowance.meet(Difference::kTracks, text(where, ": the checkpoint did not learn from ", name, ", which is new"),
                     remedy);
      continue;
    }
    const std::vector<JsonDifference> differences =
        json_differences(nlohmann::ordered_json::parse(earlier->second), nlohmann::ordered_json::parse(track.json()));
    if (differences.empty()) continue;
    const JsonDifference& first = differences.front();
    allowance.meet(Difference::kTracks,
                   text(where, ": the checkpoint learnt from ", earlier->first, " with ", first.key, " = ",
                        first.recorded, ", which is now ", first.given),
                   remedy);
  }
  for (const auto& [name, track] : before)
    if (std::ranges::find(named, name, &std::pair<std::string, TrackInfo>::first) == named.end())
      allowance.meet(Difference::kTracks, text(where, ": the checkpoint learnt from ", name, ", which is gone"),
                     remedy);
}

void check_resumed_classes(const std::optional<std::vector<std::string>>& before, const std::vector<std::string>& now,
                           const std::string& where, Allowance& allowance) {
  if (!before || *before == now) return;
  std::string difference;
  if (before->empty()) {
    difference = text(
        "took the teacher's classes in the order of the class folders, and they are now matched by name: ", now.front(),
        ", ...");
  } else if (now.empty()) {
    difference = text("matched the teacher's classes by name (", before->front(),
                      ", ...), and they are now taken in the order of the class folders");
  } else {
    const auto [was, is] = std::ranges::mismatch(*before, now);
    const auto name = [](const auto& names, const auto& at) { return at == names.end() ? "absent" : *at; };
    difference = text("learnt with class ", was - before->begin(), " of the teacher = ", name(*before, was),
                      ", which is now ", name(now, is));
  }
  allowance.meet(Difference::kTracks, text(where, ": the checkpoint ", difference),
                 "resume with the teacher's class names as they were (the file beside its weights or, in a cache, "
                 "classes.json), or choose another output");
}

}  // namespace vitrine
