#include "common/cache/preparation.h"

#include <algorithm>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/format_version.h"
#include "common/base/json.h"
#include "common/base/json_fields.h"
#include "common/cache/provenance.h"
#include "common/cache/shard_directory.h"

namespace vitrine {
namespace {

constexpr const char* kPreparationFormat = "vitrine preparation";
constexpr int kPreparationVersion = 1;
constexpr std::uint64_t kMaxPasses = 2'000'000;  // the options of an extraction allow no more

// Ascending, with ranges that overlap or touch joined.
std::vector<PassRange> joined(std::vector<PassRange> ranges) {
  std::ranges::sort(ranges, {}, &PassRange::first);
  std::vector<PassRange> out;
  for (const PassRange& range : ranges) {
    if (!out.empty() && range.first <= out.back().past())
      out.back().count = static_cast<std::uint32_t>(std::max(out.back().past(), range.past()) - out.back().first);
    else
      out.push_back(range);
  }
  return out;
}

nlohmann::ordered_json json_of(const std::vector<PassRange>& passes) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const PassRange& range : passes) out.push_back({{"first", range.first}, {"count", range.count}});
  return out;
}

PassRange range_from_json(const JsonFields& in) {
  const PassRange range{in.integer<std::uint32_t>("first"), in.integer<std::uint32_t>("count")};
  if (range.count < 1 || range.past() > kMaxPasses)
    in.damaged(text("has impossible passes: ", range.count, " from ", range.first, " on"));
  return range;
}

// "vit.0123abcd/logits": two names, neither hidden nor "..", so that the path stays below the cache.
bool is_track_directory(const std::string& directory) {
  const std::size_t slash = directory.find('/');
  return slash != std::string::npos && slash > 0 && slash + 1 < directory.size() &&
         directory.find('/', slash + 1) == std::string::npos && directory.find('\0') == std::string::npos &&
         directory[0] != '.' && directory[slash + 1] != '.';
}

// What of [first, past) is not in `numbers`, which are ascending.
void add_missing(const std::vector<std::uint64_t>& numbers, std::uint64_t first, std::uint64_t past,
                 ShardProgress& out) {
  std::uint64_t next = first;  // not yet looked at
  const auto gap_to = [&](std::uint64_t number) {
    if (next < number) out.missing.emplace_back(next, number - 1);
  };
  for (auto at = std::ranges::lower_bound(numbers, first); at != numbers.end() && *at < past; ++at) {
    gap_to(*at);
    next = *at + 1;
    ++out.there;
  }
  gap_to(past);
  out.wanted += past - first;
}

// Of joined ranges.
bool contain(const std::vector<PassRange>& ranges, PassRange passes) {
  return std::ranges::any_of(
      ranges, [&](const PassRange& range) { return range.first <= passes.first && passes.past() <= range.past(); });
}

}  // namespace

const PreparedTrack* Preparation::find(const std::string& directory) const {
  const auto found = std::ranges::lower_bound(tracks, directory, {}, &PreparedTrack::directory);
  return found == tracks.end() || found->directory != directory ? nullptr : &*found;
}

bool Preparation::covers(const std::string& directory, PassRange passes) const {
  const PreparedTrack* track = find(directory);
  return track != nullptr && contain(track->passes, passes);
}

void Preparation::add(const std::string& directory, PassRange passes) {
  auto found = std::ranges::lower_bound(tracks, directory, {}, &PreparedTrack::directory);
  if (found == tracks.end() || found->directory != directory) found = tracks.insert(found, {directory, {}});
  found->passes.push_back(passes);
  found->passes = joined(std::move(found->passes));
}

void Preparation::add_recipes(PassRange passes) {
  recipes.push_back(passes);
  recipes = joined(std::move(recipes));
}

std::vector<PassRange> Preparation::recipe_passes() const {
  std::vector<PassRange> out = recipes;
  for (const PreparedTrack& track : tracks) out.insert(out.end(), track.passes.begin(), track.passes.end());
  return joined(std::move(out));
}

bool Preparation::covers_recipes(PassRange passes) const {
  return contain(recipe_passes(), passes);
}

std::string Preparation::json() const {
  nlohmann::ordered_json json;
  json["format"] = kPreparationFormat;
  json["version"] = kPreparationVersion;
  json["plan"] = plan_hash;
  json["tracks"] = nlohmann::ordered_json::array();
  for (const PreparedTrack& track : tracks)
    json["tracks"].push_back({{"directory", track.directory}, {"passes", json_of(track.passes)}});
  if (!recipes.empty()) json["recipes"] = json_of(recipes);
  return json.dump(2) + "\n";
}

Preparation Preparation::from_json(const std::string& json, const std::string& where) {
  const auto in = parse_json<nlohmann::ordered_json>(json);
  const JsonFields fields(in, where);
  if (fields.words("format") != kPreparationFormat)
    fields.damaged(text("is not of the format \"", kPreparationFormat, "\""));
  check_format_version(in, where, kPreparationVersion);
  Preparation out;
  out.plan_hash = fields.words("plan");
  if (!is_sha256(out.plan_hash)) fields.damaged("names no plan");
  for (const nlohmann::ordered_json& entry : fields.array("tracks")) {
    const JsonFields track(entry, where, "tracks.");
    const std::string directory = track.words("directory");
    if (!is_track_directory(directory)) fields.damaged(text("\"", directory, "\" is not a track's directory"));
    for (const nlohmann::ordered_json& range : track.array("passes"))
      out.add(directory, range_from_json(JsonFields(range, where, "tracks.passes.")));
  }
  if (fields.has("recipes"))
    for (const nlohmann::ordered_json& range : fields.array("recipes"))
      out.add_recipes(range_from_json(JsonFields(range, where, "recipes.")));
  return out;
}

std::optional<Preparation> read_preparation(const std::filesystem::path& cache, const std::string& plan_hash) {
  const std::filesystem::path path = cache / kPreparationFile;
  if (!path_exists(path)) return std::nullopt;
  const std::string text_of = read_file(path);
  Preparation preparation;
  try {
    preparation = Preparation::from_json(text_of, path.string());
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCorrupt) throw;
    Problem problem = error.problem();
    problem.remedy = "remove the file and prepare the cache again, which keeps its shards";
    throw Error(ErrorKind::kCorrupt, std::move(problem));
  }
  if (preparation.plan_hash != plan_hash)
    throw Error(
        ErrorKind::kInput,
        {.path = path.string(),
         .what = text("is of plan ", preparation.plan_hash.substr(0, 8), ", but the cache has plan ",
                      plan_hash.substr(0, 8)),
         .remedy = "the file belongs to another cache; remove it and prepare this one again, which keeps its shards"});
  return preparation;
}

void write_preparation(const std::filesystem::path& cache, const Preparation& preparation) {
  const std::filesystem::path path = cache / kPreparationFile;
  const std::string json = preparation.json();
  if (!path_exists(path) || read_file(path) != json) publish(path, json);
}

std::vector<ShardProgress> shard_progress(const std::filesystem::path& cache, const Preparation& preparation,
                                          std::uint32_t shards_per_pass) {
  std::vector<ShardProgress> out{{"recipes", preparation.recipe_passes()}};
  for (const PreparedTrack& track : preparation.tracks) out.push_back({track.directory, track.passes});
  for (ShardProgress& directory : out) {
    const std::vector<std::uint64_t> numbers = list_shard_numbers(cache / directory.directory);
    for (const PassRange& range : directory.passes)
      add_missing(numbers, std::uint64_t{range.first} * shards_per_pass, range.past() * shards_per_pass, directory);
  }
  return out;
}

}  // namespace vitrine
