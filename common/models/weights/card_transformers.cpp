#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "common/models/weights/card_readers.h"

namespace vitrine {
namespace {

using nlohmann::json;

/// What transformers leaves out of a nested configuration when it is the default (configuration_*.py of 4.57).
struct VisionDefaults {
  const char* type;
  const char* activation;
  double eps;
  std::int64_t image_size, patch, dim, depth, heads;
};
constexpr std::array kVisionDefaults{VisionDefaults{"clip", "quick_gelu", 1e-5, 224, 32, 768, 12, 12},
                                     VisionDefaults{"clip_vision_model", "quick_gelu", 1e-5, 224, 32, 768, 12, 12},
                                     VisionDefaults{"siglip", "gelu_tanh", 1e-6, 224, 16, 768, 12, 12},
                                     VisionDefaults{"siglip_vision_model", "gelu_tanh", 1e-6, 224, 16, 768, 12, 12},
                                     VisionDefaults{"siglip2", "gelu_tanh", 1e-6, 256, 16, 768, 12, 12},
                                     VisionDefaults{"siglip2_vision_model", "gelu_tanh", 1e-6, 256, 16, 768, 12, 12}};

/// PIL's numbers of filters.
constexpr std::array kResample{"nearest", "lanczos", "bilinear", "bicubic", "box", "hamming"};

/// Whether all are the names that transformers generates ("LABEL_0"), which say nothing of the classes.
bool are_default_names(const std::vector<std::string>& names) {
  return std::ranges::all_of(names, [](const std::string& name) { return name.starts_with("LABEL_"); });
}

bool is_classifier(const CardFields& config) {
  const json* architectures = config.find("architectures");
  if (architectures == nullptr) return false;
  if (!architectures->is_array()) config.refuse("architectures", *architectures, "a list of texts");
  return std::ranges::any_of(*architectures, [](const json& name) {
    return name.is_string() && name.get_ref<const std::string&>().find("ForImageClassification") != std::string::npos;
  });
}

void say_labels(const CardFields& config, TeacherCard& card) {
  std::vector<std::string> names = names_of(config, "id2label");
  if (names.empty() || (are_default_names(names) && !is_classifier(config))) return;
  say(card.classes, std::optional(static_cast<std::int64_t>(names.size())));
  if (card.class_names.empty() && !are_default_names(names)) card.class_names = std::move(names);
}

void say_network(const CardFields& config, TeacherCard& card) {
  say(card.image_size, config.size("image_size"));
  say(card.patch, config.size("patch_size"));
  say(card.dim, config.size("hidden_size"));
  say(card.depth, config.size("num_hidden_layers"));
  say(card.heads, config.size("num_attention_heads"));
  say_eps(config, "layer_norm_eps", card);
  // DINOv2's gated MLP is SiLU's whatever hidden_act says; DINOv3's (use_gated_mlp) is hidden_act's.
  if (config.flag("use_swiglu_ffn").value_or(false)) return;
  if (const auto activation = config.words("hidden_act"))
    say(card.activation, std::optional(activation_word(*activation)));
}

void say_defaults(const std::string& type, TeacherCard& card) {
  for (const VisionDefaults& defaults : kVisionDefaults) {
    if (type != defaults.type) continue;
    say(card.image_size, std::optional(defaults.image_size));
    say(card.patch, std::optional(defaults.patch));
    say(card.dim, std::optional(defaults.dim));
    say(card.depth, std::optional(defaults.depth));
    say(card.heads, std::optional(defaults.heads));
    say(card.norm_eps, std::optional(defaults.eps));
    say(card.activation, std::optional<std::string>(defaults.activation));
  }
}

/// The side of a square {"height", "width"}, or of {"shortest_edge"}, or a plain number.
struct Side {
  std::int64_t pixels = 0;  ///< 0: not given
  bool shortest = false;    ///< of the shorter side, which keeps the aspect ratio
};
Side side_of(const CardFields& config, const char* key) {
  const json* value = config.find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) return {config.size_of(key, *value), false};
  const CardFields size = config.object(key);
  if (const auto edge = size.size("shortest_edge")) return {*edge, true};
  const auto height = size.size("height"), width = size.size("width");
  if (!height || height != width) config.refuse(key, *value, "a square, or its shortest_edge");
  return {*height, false};
}

/// Whether the processor, an old one too, takes a plain number for the side of a square, whatever crop follows; the
/// others (CLIP's, DINOv2's) take it for the shorter side.
bool takes_square(const CardFields& config) {
  constexpr std::array<std::string_view, 3> kModels{"Beit", "DeiT", "ViT"};
  for (const char* key : {"image_processor_type", "feature_extractor_type"})
    if (const auto type = config.words(key))
      return std::ranges::any_of(kModels, [&](std::string_view model) {
        return type->starts_with(text(model, "ImageProcessor")) || *type == text(model, "FeatureExtractor");
      });
  return false;
}

/// The crop_pct from which timm's floor(side / crop_pct) gives `whole`: their ratio, or the number below it.
double crop_pct_of(std::int64_t side, std::int64_t whole) {
  const auto pixels = static_cast<double>(side);
  const double ratio = pixels / static_cast<double>(whole);
  return std::floor(pixels / ratio) < static_cast<double>(whole) ? std::nextafter(ratio, 0.0) : ratio;
}

}  // namespace

void read_transformers_config(const CardFields& config, TeacherCard& card) {
  const std::string type = config.words("model_type").value_or("");
  say_labels(config, card);
  const CardFields vision = config.object("vision_config");
  say_network(vision.exists() ? vision : config, card);
  say_defaults(type, card);
  if (config.flag("use_mean_pooling").value_or(false)) say(card.pooling, std::optional<std::string>("mean"));
}

void read_preprocessor_config(const CardFields& config, TeacherCard& card) {
  if (config.flag("do_normalize").value_or(true)) {
    say_colours(config, "image_mean", "image_std", card);
  } else {
    say(card.mean, std::optional(std::array{0.0, 0.0, 0.0}));
    say(card.std, std::optional(std::array{1.0, 1.0, 1.0}));
  }
  if (const auto factor = config.number("rescale_factor"); factor && std::abs(*factor * 255 - 1) > 1e-6)
    config.refuse("rescale_factor", *config.find("rescale_factor"), "1/255: colours are from 0 to 1");
  if (const json* filter = config.find("resample")) {
    const auto number = integer_of<std::size_t>(*filter);
    if (!number || *number >= kResample.size()) config.refuse("resample", *filter, "PIL's number of a filter, 0 to 5");
    say(card.interpolation, std::optional<std::string>(kResample[*number]));
  }
  Side size = side_of(config, "size");
  const Side crop = side_of(config, "crop_size");
  const bool cropped = config.flag("do_center_crop").value_or(false) && crop.pixels > 0;
  // Before transformers 4.26 sizes were plain numbers.
  if (const json* value = config.find("size"); value != nullptr && value->is_number())
    size.shortest = cropped && !takes_square(config);
  if (size.pixels == 0) return;
  const std::int64_t side = cropped ? crop.pixels : size.pixels;
  if (side > size.pixels) config.refuse("crop_size", *config.find("crop_size"), "at most the size");
  // What the pictures become, rather than what the positions were made for.
  card.image_size = side;
  const auto share = config.number("crop_pct");
  say(card.crop_pct,
      std::optional(share && *share > 0 && *share <= 1 && !cropped ? *share : crop_pct_of(side, size.pixels)));
  say(card.crop_mode, std::optional<std::string>(size.shortest ? "center" : "squash"));
}

}  // namespace vitrine
