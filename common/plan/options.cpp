// Ranges of PlanOptions and serialisation to plan.json, both driven by PlanOptions::fields.
#include <algorithm>
#include <variant>

#include "common/base/error.h"
#include "common/base/json.h"
#include "common/plan/options_json.h"

namespace vitrine {

namespace {
constexpr const char* kCrop = "crop";  // not written to plan.json, as plans without the key mean it
}

void PlanOptions::fields(Fields& f) {
  f.integer("seed", seed, "random seed of the plan");
  f.integer("group", group, "views stored, read and mixed together; even", {2, 65536});
  f.integer("shard_groups", shard_groups, "groups per shard", {1, 65536});
  f.integer("image_size", image_size, "side of the teacher's input in pixels", {1, 65535});
  f.number("min_area", min_area, "smallest crop, as a share of the image's area", {0, 1});
  f.number("max_area", max_area, "largest crop, as a share of the image's area", {0, 1});
  f.number("min_ratio", min_ratio, "smallest width / height of a crop", {0.01, 100});
  f.number("max_ratio", max_ratio, "largest width / height of a crop", {0.01, 100});
  f.number("flip", flip, "probability of mirroring a view", {0, 1});
  f.number("mix_probability", mix_probability, "probability of mixing a view with its partner", {0, 1});
  f.number("switch_probability", switch_probability, "probability of CutMix rather than MixUp where both are on",
           {0, 1});
  f.number("mixup_alpha", mixup_alpha, "MixUp's λ is drawn from Beta(alpha, alpha); 0 turns MixUp off", {0, 1000});
  f.number("cutmix_alpha", cutmix_alpha, "CutMix's λ is drawn from Beta(alpha, alpha); 0 turns CutMix off", {0, 1000});
  f.choice<Resize>("resize", resize, {{kCrop, Resize::kCrop}, {"letterbox", Resize::kLetterbox}},
                   "crop: a random crop; letterbox: the whole picture, its longer side as long as the view and the "
                   "rest padded, for students of detection and segmentation (with mix_probability = 0)");
}

namespace {

constexpr const char* kDamaged = "the file is damaged or no plan.json";

[[noreturn]] void refuse(ErrorKind kind, const std::string& where, const std::string& what, const std::string& remedy) {
  throw Error(kind, {.path = where, .what = what, .remedy = remedy});
}

void check_range(const std::string& where, const Field& field) {
  if (field.is_text()) return;  // one of its words
  const auto* integer = std::get_if<std::int64_t>(&field.value);
  const double number = integer != nullptr ? static_cast<double>(*integer) : std::get<double>(field.value);
  if (!(number >= field.range.low && number <= field.range.high))
    refuse(ErrorKind::kInput, where,
           text(field.key, " = ", integer != nullptr ? text(*integer) : text(number), " is not allowed"),
           text("expected a number from ", field.range.low, " to ", field.range.high));
}

// The value of a field in plan.json.
Field::Value read_setting(const Field& field, const nlohmann::ordered_json& settings, const std::string& where) {
  const auto found = settings.find(field.key);
  if (field.is_text()) {
    if (found == settings.end()) return field.value;
    const std::string word = found->is_string() ? found->get<std::string>() : "";
    if (word != kCrop && std::ranges::find(field.words, word) != field.words.end()) return word;
    refuse(found->is_string() && word != kCrop ? ErrorKind::kNewer : ErrorKind::kCorrupt, where,
           text("settings.", field.key, " = ", found->dump(), " is not allowed"), text("expected one of its words"));
  }
  if (found == settings.end())
    refuse(ErrorKind::kCorrupt, where, text("settings.", field.key, " is missing"), kDamaged);
  const std::string not_allowed = text("settings.", field.key, " = ", found->dump(), " is not allowed");
  if (std::holds_alternative<double>(field.value)) {
    if (!found->is_number()) refuse(ErrorKind::kCorrupt, where, not_allowed, "expected a number");
    return found->get<double>();
  }
  const auto number = integer_of<std::int64_t>(*found);
  if (!number) refuse(ErrorKind::kCorrupt, where, not_allowed, "expected an integer");
  return *number;
}

// Below this, both gammas of a Beta draw can underflow, and draws are only 0 or 1.
constexpr double kMinAlpha = 0.05;

}  // namespace

void check_plan_options(const PlanOptions& options, const std::string& where) {
  PlanOptions checked = options;
  const Fields fields = fields_of(checked);
  for (const Field& field : fields.all()) check_range(where, field);
  const auto not_allowed = [&](const std::string& what, const std::string& remedy) {
    refuse(ErrorKind::kInput, where, what, remedy);
  };
  if (options.group % 2 != 0)
    not_allowed(text("group = ", options.group, " is not allowed"),
                "expected an even number, so that each view has a partner");
  if (options.min_area > options.max_area || options.max_area == 0)
    not_allowed(text("min_area = ", options.min_area, " and max_area = ", options.max_area, " are not allowed"),
                "expected min_area at most max_area, and max_area above 0");
  if (options.min_ratio > options.max_ratio)
    not_allowed(text("min_ratio = ", options.min_ratio, " is above max_ratio = ", options.max_ratio), "swap them");
  for (const auto& [key, alpha] :
       {std::pair{"mixup_alpha", options.mixup_alpha}, std::pair{"cutmix_alpha", options.cutmix_alpha}})
    if (alpha > 0 && alpha < kMinAlpha)
      not_allowed(text(key, " = ", alpha, " is not allowed"), text("expected 0 (off) or at least ", kMinAlpha));
  if (options.resize == Resize::kLetterbox && options.mix_probability > 0)
    not_allowed(text("resize = \"letterbox\" with mix_probability = ", options.mix_probability, " is not allowed"),
                "set mix_probability = 0: whole pictures are not mixed, so that boxes can be placed in them");
  if (options.mix_probability > 0 && options.mixup_alpha == 0 && options.cutmix_alpha == 0)
    not_allowed(text("mix_probability = ", options.mix_probability, " needs mixup_alpha or cutmix_alpha above 0"),
                "set mix_probability to 0 for views without mixing");
}

std::string plan_json(const PlanOptions& options, const ImageIndex& index) {
  nlohmann::ordered_json settings = nlohmann::ordered_json::object();
  PlanOptions copy = options;
  const Fields fields = fields_of(copy);
  for (const Field& field : fields.all()) {
    if (const auto* word = std::get_if<std::string>(&field.value)) {
      if (*word != kCrop) settings[field.key] = *word;
    } else if (const auto* integer = std::get_if<std::int64_t>(&field.value))
      settings[field.key] = *integer;
    else
      settings[field.key] = std::get<double>(field.value);
  }
  nlohmann::ordered_json json;
  json["format"] = kPlanFormat;
  json["version"] = kPlanVersion;
  json["images"] = index.images.size();
  json["classes"] = index.classes.size();
  json["index"] = index.hash();
  json["settings"] = std::move(settings);
  return json.dump(2) + "\n";
}

PlanOptions plan_options_from_json(const std::string& text_of_plan, const std::string& where) {
  const auto json = parse_json<nlohmann::ordered_json>(text_of_plan);
  if (json.is_discarded()) refuse(ErrorKind::kCorrupt, where, "is not valid JSON", kDamaged);
  if (!json.is_object() || !json.contains("format") || json["format"] != kPlanFormat)
    refuse(ErrorKind::kCorrupt, where, text("is not a plan, which is an object with \"format\": \"", kPlanFormat, "\""),
           kDamaged);
  check_format_version(json, where);
  if (!json.contains("settings") || !json["settings"].is_object())
    refuse(ErrorKind::kCorrupt, where, "has no settings", kDamaged);
  PlanOptions options;
  const Fields fields = fields_of(options);
  for (Field field : fields.all()) {
    field.value = read_setting(field, json["settings"], where);
    // Check before the conversion to the field's own type.
    if (std::holds_alternative<std::int64_t>(field.value))
      read_as(ErrorKind::kCorrupt, [&] { check_range(where, field); });
    field.set(field.value);
  }
  for (const auto& [key, value] : json["settings"].items())
    if (fields.find(key) == nullptr)
      refuse(ErrorKind::kNewer, where, "unknown setting " + key, "the plan was made by another version of vitrine");
  read_as(ErrorKind::kCorrupt, [&] { check_plan_options(options, where); });
  return options;
}

}  // namespace vitrine
