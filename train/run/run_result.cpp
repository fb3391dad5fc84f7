#include "train/run/run_result.h"

#include <ATen/ATen.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/base/json_text.h"
#include "train/run_files/run_files.h"
#include "train/run/run_json.h"

namespace vitrine {
namespace {

// "layer3": 3.
std::optional<std::uint32_t> stage_of(const std::string& layer) {
  if (!layer.starts_with("layer") || layer.size() != 6 || layer.back() < '1' || layer.back() > '4') return std::nullopt;
  return static_cast<std::uint32_t>(layer.back() - '0');
}

std::optional<EvaluatedImages> images_of(const JsonFields& in, const char* key) {
  if (!in.has(key)) return std::nullopt;
  const JsonFields images = in.object(key);
  return EvaluatedImages{images.words("folder"), images.words("hash")};
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
    const auto images = in.integer<std::uint64_t>("evaluated_images");
    (on == "test" ? out.test : out.validation) = Accuracy{in.number("top1", 0, 1), in.number("top5", 0, 1), images};
    if (in.has("last_top1")) {
      out.of_best = true;
      (on == "test" ? out.last_test : out.last_validation) =
          Accuracy{in.number("last_top1", 0, 1), in.number("last_top5", 0, 1), images};
    }
  }
  const std::string weights = in.words_or("weights", "last");
  if (weights != "best" && weights != "last") in.damaged("weights is neither best nor last");
  out.of_best = out.of_best || weights == "best";
  out.validation_images = images_of(in, "validation_images");
  out.test_images = images_of(in, "test_images");
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

void TrainResult::take_scores(const Checkpoint& checkpoint) {
  best = checkpoint.best;
  (of_best ? last_validation : validation) = checkpoint.validation;
  (of_best ? last_agreement : agreement) = checkpoint.agreement;
  if (!of_best) return;
  if (best.accuracy) validation = best.accuracy;
  if (best.chosen_by == "agreement") agreement = best.score;
}

void write_summary(const std::filesystem::path& directory, const TrainResult& result) {
  nlohmann::ordered_json json = {
      {"steps", result.steps},
      {"images_seen", result.images_seen},
      {"wall_seconds", result.wall_seconds},
      {"core_seconds", result.core_seconds},
      {"core_seconds_per_step", result.steps > 0 ? result.core_seconds / static_cast<double>(result.steps) : 0},
      {"wait_share", result.wait_share}};
  json["weights"] = result.of_best ? "best" : "last";
  if (const std::optional<Accuracy>& accuracy = result.accuracy()) {
    json["evaluated_on"] = result.test ? "test" : "validation";
    json["evaluated_images"] = accuracy->images;
    json["top1"] = accuracy->top1;
    json["top5"] = accuracy->top5;
    if (const std::optional<Accuracy>& last = result.last_accuracy()) {
      json["last_top1"] = last->top1;
      json["last_top5"] = last->top5;
    }
  }
  for (const auto& [key, images] :
       {std::pair("test_images", &result.test_images), {"validation_images", &result.validation_images}})
    if (*images) json[key] = {{"folder", (*images)->folder}, {"hash", (*images)->hash}};
  for (const auto& [word, difference] : result.allowed)
    json["allowed"].push_back({{"word", word}, {"difference", difference}});
  if (result.left_out_views > 0) json["left_out_views"] = result.left_out_views;
  if (result.skipped_updates) json["skipped_updates"] = *result.skipped_updates;
  if (result.agreement) json["validation_agreement"] = *result.agreement;
  if (result.last_agreement) json["last_agreement"] = *result.last_agreement;
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
  publish(RunFiles(directory).summary(), json_text(json));
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
