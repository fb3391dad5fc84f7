#include "common/models/weights/card_readers.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <string_view>

namespace vitrine {
namespace {

using nlohmann::json;

std::vector<std::string> descriptions_of(const CardFields& fields, const std::vector<std::string>& names) {
  std::vector<std::string> out;
  const CardFields descriptions = fields.object("label_descriptions");
  if (!descriptions.exists()) return out;
  for (const std::string& name : names) out.push_back(descriptions.words(name.c_str()).value_or(""));
  return out;
}

/// Of timm's word or OpenCLIP's.
std::string pooling_word(const std::string& theirs) {
  return theirs == "token" || theirs == "tok" ? "class"
         : theirs == "avg"                    ? "mean"
         : theirs == "map"                    ? "attention"
                                              : theirs;
}

/// Of a ViT of OpenCLIP's own.
void say_open_clip_tower(const CardFields& vision, TeacherCard& card) {
  if (const auto width = vision.size("width"))
    say(card.heads, std::optional(std::max<std::int64_t>(*width / vision.size("head_width").value_or(64), 1)));
  say(card.pooling, std::optional(pooling_word(vision.words("pool_type").value_or("tok"))));
  say(card.norm_after_pooling, std::optional(vision.flag("final_ln_after_pool").value_or(false)));
  say_eps(vision.object("norm_kwargs"), "eps", card);
  if (vision.object("act_kwargs").words("approximate") == "tanh")
    say(card.activation, std::optional<std::string>("gelu_tanh"));
}

/// The side of the square [3, side, side].
std::optional<std::int64_t> input_side(const CardFields& fields) {
  const json* value = fields.find("input_size");
  if (value == nullptr) return std::nullopt;
  if (!value->is_array() || value->size() != 3 || (*value)[1] != (*value)[2])
    fields.refuse("input_size", *value, "three colours and a square: [3, 224, 224]");
  return fields.size_of("input_size", (*value)[1]);
}

/// The side of the model's input, which is a number or [side, side].
std::optional<std::int64_t> model_side(const CardFields& arguments) {
  const json* value = arguments.find("img_size");
  if (value == nullptr || !value->is_array()) return arguments.size("img_size");
  if (value->size() != 2 || (*value)[0] != (*value)[1]) arguments.refuse("img_size", *value, "a number, or a square");
  return arguments.size_of("img_size", (*value)[0]);
}

void say_crop(const CardFields& fields, TeacherCard& card) {
  const auto crop = fields.number("crop_pct");
  if (crop && (*crop <= 0 || *crop > 1)) fields.refuse("crop_pct", *fields.find("crop_pct"), "a share up to 1");
  say(card.crop_pct, crop);
}

std::string trimmed(std::string_view word) {
  const std::size_t first = word.find_first_not_of(" \t\r"), last = word.find_last_not_of(" \t\r");
  if (first == std::string_view::npos) return {};
  word = word.substr(first, last - first + 1);
  if (word.size() >= 2 && (word[0] == '"' || word[0] == '\'') && word.back() == word[0])
    word = word.substr(1, word.size() - 2);
  return std::string(word);
}

}  // namespace

std::vector<std::string> names_of(const CardFields& fields, const char* key) {
  constexpr std::size_t kMaxNames = 1'000'000;
  const char* expected = "a list of names, or an object with names by number";
  const json* value = fields.find(key);
  std::vector<std::string> out;
  if (value == nullptr) return out;
  if (!value->is_array() && !value->is_object()) fields.refuse(key, *value, expected);
  std::size_t next = 0;
  for (const auto& [number, name] : value->items()) {
    std::size_t index = next++;
    if (value->is_object()) {
      const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), index);
      if (error != std::errc() || end != number.data() + number.size()) fields.refuse(key, *value, expected);
    }
    if (index >= kMaxNames || !name.is_string()) fields.refuse(key, *value, expected);
    out.resize(std::max(out.size(), index + 1));
    if (!out[index].empty()) fields.refuse(key, *value, expected);  // "0" and "00"
    out[index] = name.get<std::string>();
  }
  return out;
}

void say_eps(const CardFields& fields, const char* key, TeacherCard& card) {
  const auto eps = fields.number(key);
  if (eps && (*eps < 1e-12 || *eps > 1)) fields.refuse(key, *fields.find(key), "1e-12 to 1");
  say(card.norm_eps, eps);
}

void read_timm_config(const CardFields& config, TeacherCard& card) {
  say(card.architecture, config.words("architecture"));
  say(card.classes, config.count("num_classes"));
  const CardFields arguments = config.object("model_args");
  say(card.image_size, model_side(arguments));
  // pretrained_cfg is of the weights that the model began with, and these fields may be at the top level instead.
  const CardFields pretrained = config.object("pretrained_cfg");
  for (const CardFields& fields : {pretrained, config}) {
    say(card.architecture, fields.words("architecture"));
    say(card.image_size, input_side(fields));
    say_colours(fields, "mean", "std", card);
    say_crop(fields, card);
    say(card.crop_mode, fields.words("crop_mode"));
    say(card.interpolation, fields.words("interpolation"));
    say(card.license, fields.words("license"));
  }
  for (const CardFields& fields : {config, pretrained})
    for (const char* key : {"label_names", "labels"})
      if (card.class_names.empty()) {
        card.class_names = names_of(fields, key);
        card.class_descriptions = descriptions_of(fields, card.class_names);
      }
  say(card.classes, pretrained.count("num_classes"));
  for (const CardFields& fields : {arguments, config})
    if (const auto pool = fields.words("global_pool")) say(card.pooling, std::optional(pooling_word(*pool)));
  say(card.patch, arguments.size("patch_size"));
  say(card.dim, arguments.size("embed_dim"));
  say(card.depth, arguments.size("depth"));
  say(card.heads, arguments.size("num_heads"));
}

void read_open_clip_config(const CardFields& config, TeacherCard& card) {
  const CardFields model = config.object("model_cfg"), vision = model.object("vision_cfg"),
                   preprocess = config.object("preprocess_cfg");
  say(card.architecture, vision.words("timm_model_name"));
  say(card.image_size, vision.size("image_size"));
  // OpenCLIP builds towers of timm's with timm's own activation.
  if (!vision.words("timm_model_name") && model.flag("quick_gelu").value_or(false))
    say(card.activation, std::optional<std::string>("quick_gelu"));
  say(card.patch, vision.size("patch_size"));
  say(card.dim, vision.size("width"));
  say(card.depth, vision.size("layers"));
  if (vision.exists() && !vision.words("timm_model_name")) say_open_clip_tower(vision, card);
  say_colours(preprocess, "mean", "std", card);
  say(card.interpolation, preprocess.words("interpolation"));
  if (const auto mode = preprocess.words("resize_mode")) {
    say(card.crop_mode, std::optional<std::string>(*mode == "shortest" ? "center" : *mode));
    say(card.crop_pct, std::optional(1.0));  // resized straight to the model's size
  }
}

std::optional<std::string> license_of_readme(const std::string& readme) {
  std::string_view rest = readme;
  std::optional<std::string> license, name;
  for (bool first = true; !rest.empty(); first = false) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    const bool fence = trimmed(line) == "---";
    if (first != fence) break;  // no front matter, or its end
    if (line.starts_with("license:")) license = trimmed(line.substr(8));
    if (line.starts_with("license_name:")) name = trimmed(line.substr(13));
  }
  if (license && *license == "other" && name && !name->empty()) return name;
  return license && !license->empty() ? license : std::nullopt;
}

}  // namespace vitrine
