#include "extract/compare.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/hash.h"
#include "common/base/json.h"
#include "common/cache/track.h"
#include "common/image/index_record.h"
#include "common/image/left_out.h"
#include "extract/mixed.h"

namespace vitrine {
namespace {

constexpr const char* kConfiguration = "this configuration";  // in messages

nlohmann::ordered_json settings_of(const std::string& plan) {
  return parse_json<nlohmann::ordered_json>(plan).value("settings", nlohmann::ordered_json::object());
}

std::string pass_words(PassRange passes) {
  return passes.count == 1 ? text("pass ", passes.first) : text("passes ", passes.first, " to ", passes.past() - 1);
}

}  // namespace

Plan trial_plan(const PlanOptions& options) {
  ImageIndex index;
  index.images.push_back({.id = "trial", .height = 1, .width = 1, .label = kNoLabel});
  return Plan(std::make_shared<const ImageIndex>(std::move(index)), options);
}

void check_settings_of_cache(const std::filesystem::path& cache, const Plan& trial) {
  const std::filesystem::path path = cache / "plan.json";
  if (!path_exists(path)) return;
  const std::string recorded = read_file(path);
  Plan::options_from_json(recorded, path.string());  // throws for a damaged or newer file
  const std::string words =
      describe_differences(json_differences(settings_of(recorded), settings_of(trial.json())), kConfiguration);
  if (words.empty()) return;
  throw Error(ErrorKind::kInput, {.path = path.string(),
                                  .what = "the cache holds another plan: " + words,
                                  .remedy = "use the same settings, or another cache directory"});
}

void check_tracks_of_cache(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks, bool allow_mixed) {
  for (const TrackInfo& track : tracks) {
    const std::filesystem::path path = cache / track.directory() / "track.json";
    if (!path_exists(path)) continue;
    const TrackInfo recorded = TrackInfo::from_file_text(read_file(path), path.string());
    TrackInfo given = with_arithmetic_of_cache(cache, track, allow_mixed);
    given.plan_hash = recorded.plan_hash;
    given.teacher.class_list_sha256 = recorded.teacher.class_list_sha256;
    if (given.codec.encoding == Encoding::kTransform) given.codec.basis = recorded.codec.basis;
    const std::string words = describe_differences(differences(recorded, given), kConfiguration);
    if (words.empty()) continue;
    throw Error(ErrorKind::kInput, {.path = path.string(),
                                    .what = "the cache holds another track of this name: " + words,
                                    .remedy = "use the same settings, or remove the track's directory"});
  }
}

void check_calibration_of_cache(const std::filesystem::path& cache, const Plan& plan, const TrackInfo& track,
                                const FeatureBasis& basis, std::uint32_t calibration_views) {
  const std::uint64_t group = plan.options().group;
  const std::uint64_t views =
      group * std::min<std::uint64_t>(plan.groups_per_pass(), (calibration_views + group - 1) / group);
  if (basis.views == views) return;
  const auto failed_later = [](const LeftOut& entry) { return entry.kind > LeftOutKind::kNotInIndex; };
  if (basis.views < views && std::ranges::any_of(read_left_out(cache / kLeftOutFile), failed_later)) return;
  throw Error(ErrorKind::kInput, {.path = (cache / basis_path(track)).string(),
                                  .what = text("was made from ", basis.views, " views, but taps.calibration_views = ",
                                               calibration_views, " asks for ", views),
                                  .remedy = "use the same setting, or remove the track's directory"});
}

std::optional<Preparation> preparation_of_cache(const std::filesystem::path& cache) {
  const std::filesystem::path plan = cache / "plan.json";
  if (!path_exists(plan) || !path_exists(cache / "index.h5")) return std::nullopt;
  return read_preparation(cache, sha256_hex(read_file(plan)));
}

std::vector<TrackInfo> outputs_of(const Teacher* teacher) {
  return teacher == nullptr ? std::vector<TrackInfo>() : teacher->outputs();
}

std::string missing_preparation(const std::filesystem::path& cache, IndexDepth depth) {
  if (!preparation_of_cache(cache)) return text("it has no ", kPreparationFile);
  const auto plan = parse_json<nlohmann::ordered_json>(read_file(cache / "plan.json"));
  const auto record = read_index_record(cache, plan.value("index", std::string()));
  if (depth > (record ? record->depth : IndexDepth::kHeaders))
    return text("its pictures were checked by their headers only, but index_depth = \"", name_of(depth), '"');
  return {};
}

std::string missing_preparation(const std::filesystem::path& cache, const std::vector<TrackInfo>& tracks,
                                PassRange passes, IndexDepth depth) {
  if (std::string missing = missing_preparation(cache, depth); !missing.empty()) return missing;
  const Preparation preparation = preparation_of_cache(cache).value();
  const auto of = [&](const std::string& directory) {
    return text(pass_words(passes), " of ", directory, passes.count == 1 ? " is not" : " are not all", " prepared");
  };
  if (tracks.empty() && !preparation.covers_recipes(passes)) return of("recipes");
  for (const TrackInfo& track : tracks) {
    const std::string directory = track.directory();
    if (preparation.find(directory) == nullptr) return directory + " is not prepared";
    if (!path_exists(cache / directory / "track.json")) return directory + "/track.json is missing";
    if (track.codec.encoding == Encoding::kTransform && !path_exists(cache / basis_path(track)))
      return basis_path(track).string() + " is missing";
    if (!preparation.covers(directory, passes)) return of(directory);
  }
  return {};
}

}  // namespace vitrine
