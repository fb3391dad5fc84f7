#include "common/models/vit/structure.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "common/base/error.h"
#include "common/base/json.h"

namespace vitrine {
namespace {

const std::vector<std::pair<std::string, VitActivation>>& activations() {
  static const std::vector<std::pair<std::string, VitActivation>> words{{"gelu", VitActivation::kGelu},
                                                                        {"gelu_tanh", VitActivation::kGeluTanh},
                                                                        {"quick_gelu", VitActivation::kQuickGelu},
                                                                        {"silu", VitActivation::kSilu}};
  return words;
}

nlohmann::ordered_json json_value(const Field::Value& value) {
  if (const auto* flag = std::get_if<bool>(&value)) return *flag;
  if (const auto* integer = std::get_if<std::int64_t>(&value)) return *integer;
  if (const auto* number = std::get_if<double>(&value)) return *number;
  return std::get<std::string>(value);
}

bool within(double number, const Range& range) {
  return std::isfinite(number) && number >= range.low && number <= range.high;
}

/// Sets the field from JSON; false if the value has another type or is out of range.
bool set_field(const Field& field, const nlohmann::ordered_json& value) {
  if (std::holds_alternative<bool>(field.value)) {
    if (!value.is_boolean()) return false;
    field.set(value.get<bool>());
  } else if (std::holds_alternative<std::int64_t>(field.value)) {
    const auto integer = integer_of<std::int64_t>(value);
    if (!integer || !within(static_cast<double>(*integer), field.range)) return false;
    field.set(*integer);
  } else if (std::holds_alternative<double>(field.value)) {
    if (!value.is_number() || !within(value.get<double>(), field.range)) return false;
    field.set(value.get<double>());
  } else {
    if (!value.is_string()) return false;
    field.set(value.get<std::string>());
  }
  return true;
}

[[noreturn]] void newer(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kNewer, {.path = where, .what = what, .remedy = "use the version of vitrine that wrote it"});
}

[[noreturn]] void damaged(const std::string& where, const std::string& what) {
  throw Error(ErrorKind::kCorrupt,
              {.path = where, .what = what, .remedy = "the file is damaged, copy or make it again"});
}

}  // namespace

void VitStructure::fields(Fields& f) {
  f.text("arch", arch, "timm's name of the architecture");
  f.integer("image_size", image_size, "side of the square input in pixels", {1, 4096});
  f.integer("patch", patch, "side of a patch in pixels", {1, 256});
  f.integer("dim", dim, "width of a token", {1, 16384});
  f.integer("depth", depth, "number of blocks", {1, 256});
  f.integer("heads", heads, "attention heads", {1, 256});
  f.integer("head_dim", head_dim, "width of a head", {1, 4096});
  f.integer("classes", classes, "outputs of the head; 0: no head", {0, 1 << 24});
  f.flag("class_token", class_token, "cls_token");
  f.flag("distillation_token", distillation_token, "dist_token");
  f.integer("registers", registers, "rows of reg_token", {0, 256});
  f.choice<VitPositions>(
      "positions", positions,
      {{"none", VitPositions::kNone}, {"all_tokens", VitPositions::kAllTokens}, {"patches", VitPositions::kPatches}},
      "rows of pos_embed");
  f.flag("relative_positions", relative_positions, "relative position biases in each block");
  f.choice<VitRope>("rope", rope, {{"none", VitRope::kNone}, {"cat", VitRope::kCat}, {"dinov3", VitRope::kDinov3}},
                    "rotary position embedding");
  f.number("rope_temperature", rope_temperature, "base of the rotary frequencies", {0, 1e9});
  f.integer("rope_reference_grid", rope_reference_grid, "side of the grid that positions are scaled to; 0: not scaled",
            {0, 4096});
  f.number("rope_offset", rope_offset, "added to rotary positions", {-4096, 4096});
  f.flag("rope_xy", rope_xy, "the column's angles come first");
  f.flag("rope_half", rope_half, "rotate halves of a head instead of neighbouring pairs");
  f.choice<VitQkv>("qkv", qkv,
                   {{"fused", VitQkv::kFused}, {"fused_qv_bias", VitQkv::kFusedQvBias}, {"split", VitQkv::kSplit}},
                   "layers of the queries, keys and values");
  f.flag("qkv_bias", qkv_bias, "their biases");
  f.flag("attention_norm", attention_norm, "a LayerNorm before the attention's projection");
  f.choice<VitMlp>(
      "mlp", mlp,
      {{"plain", VitMlp::kPlain}, {"swiglu_packed", VitMlp::kSwigluPacked}, {"swiglu_split", VitMlp::kSwigluSplit}},
      "kind of MLP");
  f.integer("mlp_hidden", mlp_hidden, "hidden width of the MLP", {1, 1 << 17});
  f.choice<VitActivation>("activation", activation, activations(), "activation of the MLP");
  f.flag("mlp_norm", mlp_norm, "a LayerNorm before fc2");
  f.choice<VitLayerScale>(
      "layer_scale", layer_scale,
      {{"none", VitLayerScale::kNone}, {"ls", VitLayerScale::kLs}, {"gamma", VitLayerScale::kGamma}}, "LayerScale");
  f.flag("patch_bias", patch_bias, "bias of the patch convolution");
  f.flag("norm_pre", norm_pre, "a LayerNorm before the blocks");
  f.flag("norm", norm, "a LayerNorm after the blocks");
  f.flag("fc_norm", fc_norm, "a LayerNorm after the pooling");
  f.number("eps", eps, "of the LayerNorms", {1e-12, 1});
  f.choice<VitPooling>("pooling", pooling,
                       {{"class", VitPooling::kClass},
                        {"class_and_distilled", VitPooling::kClassAndDistilled},
                        {"mean", VitPooling::kMean},
                        {"attention", VitPooling::kAttention}},
                       "what goes to the head");
  f.integer("pool_heads", pool_heads, "heads of the attention pool", {0, 256});
  f.integer("pool_hidden", pool_hidden, "hidden width of the attention pool's MLP", {0, 1 << 17});
  f.flag("pool_prefix", pool_prefix, "the attention pool sees prefix tokens");
  f.flag("head_bias", head_bias, "bias of the head");
}

void VitStructure::check(const std::string& where) const {
  const auto refuse = [&](const auto&... parts) {
    throw Error(ErrorKind::kInput, {.path = where, .what = text(parts...)});
  };
  VitStructure copy = *this;
  const Fields all = fields_of(copy);
  for (const Field& field : all.all()) {
    const auto* integer = std::get_if<std::int64_t>(&field.value);
    const auto* number = std::get_if<double>(&field.value);
    if ((integer != nullptr && !within(static_cast<double>(*integer), field.range)) ||
        (number != nullptr && !within(*number, field.range)))
      refuse("the ViT has ", field.key, " = ", integer != nullptr ? static_cast<double>(*integer) : *number,
             "; expected ", field.range.low, " to ", field.range.high);
  }
  if (image_size % patch != 0)
    refuse("the ViT has image_size = ", image_size, ", which patch = ", patch, " does not divide; choose a multiple");
  if (distillation_token && !class_token) refuse("a distillation token needs a class token");
  if (pooling == VitPooling::kClass && !class_token) refuse("pooling = class needs a class token");
  if (pooling == VitPooling::kClassAndDistilled && !distillation_token)
    refuse("pooling = class_and_distilled needs a distillation token");
  if (relative_positions && (!class_token || prefix_tokens() != 1))
    refuse("relative positions need a class token and no other prefix token");
  if (rope != VitRope::kNone && (head_dim % 4 != 0 || rope_temperature <= 0))
    refuse("a rotary embedding needs a temperature and heads whose width is a multiple of 4, not ", head_dim);
  if (pooling == VitPooling::kAttention && (pool_heads < 1 || pool_hidden < 1 || dim % pool_heads != 0))
    refuse("the attention pool has ", pool_heads, " heads and an MLP of width ", pool_hidden, " for tokens of width ",
           dim, "; expected a divisor of the tokens' width and at least 1");
}

nlohmann::ordered_json to_json(const VitStructure& structure) {
  VitStructure copy = structure;
  nlohmann::ordered_json out;
  const Fields all = fields_of(copy);
  for (const Field& field : all.all()) out[field.key] = json_value(field.value);
  return out;
}

VitStructure vit_structure_from_json(const nlohmann::ordered_json& json, const std::string& where) {
  if (!json.is_object()) damaged(where, "the ViT's structure is not an object");
  VitStructure out;
  const Fields all = fields_of(out);
  for (const auto& [key, value] : json.items())
    if (all.find(key) == nullptr) newer(where, text("the ViT's structure has an unknown field \"", key, '"'));
  for (const Field& field : all.all()) {
    const auto value = json.find(field.key);
    if (value == json.end()) damaged(where, text("the ViT's structure has no ", field.key));
    if (!field.words.empty() && value->is_string() &&
        std::ranges::find(field.words, value->get<std::string>()) == field.words.end())
      newer(where, text("the ViT has ", field.key, " = ", value->dump(), ", which this version does not support"));
    if (!set_field(field, *value))
      damaged(where, text("the ViT's structure has ", field.key, " = ", value->dump(), ", which is not allowed"));
  }
  read_as(ErrorKind::kCorrupt, [&] { out.check(where); });
  return out;
}

const char* activation_name(VitActivation activation) {
  for (const auto& [word, meaning] : activations())
    if (meaning == activation) return word.c_str();
  throw std::logic_error("unknown activation");
}

VitActivation activation_from_name(const std::string& word, const std::string& key) {
  for (const auto& [name, meaning] : activations())
    if (name == word) return meaning;
  fail(key, " = \"", word, "\" is not known; expected gelu, gelu_tanh, quick_gelu or silu");
}

}  // namespace vitrine
