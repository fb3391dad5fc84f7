#include "train/run/run_result.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>

#include "common/base/error.h"
#include "common/base/files.h"
#include "train/run/run_files.h"
#include "train/run/run_json.h"

namespace vitrine {
namespace {

// "layer3": 3.
std::optional<std::uint32_t> stage_of(const std::string& layer) {
  if (!layer.starts_with("layer") || layer.size() != 6 || layer.back() < '1' || layer.back() > '4') return std::nullopt;
  return static_cast<std::uint32_t>(layer.back() - '0');
}

TrainResult summary_of(const JsonFields& in) {
  TrainResult out;
  out.finished = true;
  out.steps = in.integer<std::uint64_t>("steps");
  out.images_seen = in.integer<std::uint64_t>("images_seen");
  out.left_out_views = in.integer_or<std::uint64_t>("left_out_views", 0);
  out.wall_seconds = in.number("wall_seconds", 0, kMaxRunSeconds);
  out.core_seconds = in.number("core_seconds", 0, kMaxRunSeconds);
  out.wait_share = in.number("wait_share", 0, kMaxRunSeconds);
  out.size = in.integer_or<std::uint32_t>("size", 0);
  if (in.has("evaluated_on")) {
    const std::string on = in.words("evaluated_on");
    if (on != "test" && on != "validation") in.damaged("evaluated_on is neither test nor validation");
    (on == "test" ? out.test : out.validation) =
        Accuracy{in.number("top1", 0, 1), in.number("top5", 0, 1), in.integer<std::uint64_t>("evaluated_images")};
  }
  if (in.has("skipped_updates")) out.skipped_updates = in.integer<std::uint64_t>("skipped_updates");
  out.allowed = allowed_differences(in);
  if (in.has("stages")) {
    const JsonFields stages = in.object("stages");
    for (const auto& [track, layer] : stages.json().items()) {
      const std::optional<std::uint32_t> stage = stage_of(stages.words(track.c_str()));
      if (!stage) in.damaged(text("stages.", track, " is not one of layer1, ..., layer4"));
      out.stages.emplace_back(track, *stage);
    }
  }
  if (in.has("changes")) out.changes = in.list_of_words("changes");
  return out;
}

}  // namespace

void write_summary(const std::filesystem::path& directory, const TrainResult& result) {
  const std::optional<Accuracy>& accuracy = result.test ? result.test : result.validation;
  nlohmann::ordered_json json = {
      {"steps", result.steps},
      {"images_seen", result.images_seen},
      {"wall_seconds", result.wall_seconds},
      {"core_seconds", result.core_seconds},
      {"core_seconds_per_step", result.steps > 0 ? result.core_seconds / static_cast<double>(result.steps) : 0},
      {"wait_share", result.wait_share}};
  if (accuracy) {
    json["evaluated_on"] = result.test ? "test" : "validation";
    json["evaluated_images"] = accuracy->images;
    json["top1"] = accuracy->top1;
    json["top5"] = accuracy->top5;
  }
  for (const auto& [word, difference] : result.allowed)
    json["allowed"].push_back({{"word", word}, {"difference", difference}});
  if (result.left_out_views > 0) json["left_out_views"] = result.left_out_views;
  if (result.skipped_updates) json["skipped_updates"] = *result.skipped_updates;
  if (result.agreement) json["validation_agreement"] = *result.agreement;
  if (result.validation) json["validation_top1"] = result.validation->top1;
  if (result.best.has_value())
    json["best"] = {{"chosen_by", result.best.chosen_by},
                    {"score", result.best.score},
                    {"step", result.best.step},
                    {"epoch", result.best.epoch},
                    {"file", RunFiles(directory).best_weights().lexically_relative(directory).string()}};
  json["size"] = result.size;
  for (const auto& [track, stage] : result.stages) json["stages"][track] = text("layer", stage);
  if (!result.changes.empty()) json["changes"] = result.changes;
  publish(RunFiles(directory).summary(), json.dump(2) + "\n");
}

std::optional<TrainResult> read_summary(const std::filesystem::path& directory) {
  const std::filesystem::path path = RunFiles(directory).summary();
  if (!path_exists(path)) return std::nullopt;
  TrainResult out;
  read_run_json(path, "summary", "remove it: the same command makes it again from the run's checkpoint",
                [&](const JsonFields& fields) { out = summary_of(fields); });
  return out;
}

}  // namespace vitrine
