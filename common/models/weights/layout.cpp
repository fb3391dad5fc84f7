#include "common/models/weights/layout.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <string_view>
#include <vector>

#include "common/base/error.h"
#include "common/models/resnet_archs.h"
#include "common/models/tensor_names.h"

namespace vitrine {
namespace {

/// A tensor name that contains `sign` identifies a model of another project.
struct Sign {
  const char* sign;
  const char* family;
};
// The first match counts, so more specific signs come first.
constexpr std::array kForeign{
    Sign{"optimizer.momentum",
         "a checkpoint of vitrine-train, which holds more than a model: give last.safetensors or best.safetensors of "
         "its folder exported"},
    Sign{"vision_model.encoder.layers.", "a CLIP or SigLIP vision model with Hugging Face transformers' names"},
    Sign{"distillation_token", "a distilled DeiT with Hugging Face transformers' names"},
    Sign{"attention.attention.relative_position_bias", "a BEiT with Hugging Face transformers' names"},
    Sign{"layer_scale1.lambda1", "a DINOv2 or DINOv3 ViT with Hugging Face transformers' names"},
    Sign{"encoder.layer.0.attention.attention.query", "a ViT with Hugging Face transformers' names"},
    Sign{"embedder.embedder.convolution", "a ResNet with Hugging Face transformers' names"},
    Sign{"encoder.layers.encoder_layer_0.", "a ViT with torchvision's names"},
    Sign{"visual.trunk.", "an OpenCLIP model around a timm ViT"},
    Sign{"transformer.resblocks.", "an OpenAI CLIP or OpenCLIP ViT with those projects' names"},
    Sign{"storage_tokens", "a DINOv3 ViT with Meta's names"},
    Sign{"decoder_blocks.", "a masked autoencoder (MAE) with its decoder"},
    Sign{"downsample_layers.", "a ConvNeXt"},
    Sign{"stages.0.blocks.0.conv_dw", "a ConvNeXt"},
    Sign{"layers.0.blocks.0.attn.relative_position_bias_table", "a Swin Transformer"},
    Sign{"conv_stem.", "an EfficientNet or MobileNet with timm's names"},
    Sign{"features.0.0.weight", "an EfficientNet, MobileNet or ConvNeXt with torchvision's names"},
    Sign{"embed_tokens.weight", "a language model"},
    Sign{"down_blocks.", "a diffusion model"}};

std::string because(const std::string& family, const std::string& what, const std::string& name) {
  return text(family, " (", what, ": ", name, ")");
}

/// The family of a ViT with timm's names, by features that a plain ViT does not have.
std::string vit_family(const TensorNames& names) {
  const bool class_token = names.has("cls_token");
  const std::string registers =
      !names.first_with("reg_token").empty() ? names.first_with("reg_token") : names.first_with("register_tokens");
  if (names.has("dist_token")) return because("a distilled DeiT", "a distillation token", "dist_token");
  if (const std::string bias = names.first_with("relative_position_bias_table"); !bias.empty())
    return because("a BEiT", "relative position biases", bias);
  const std::string gamma = names.first_with(".gamma_1");
  if (!gamma.empty() && class_token && !registers.empty() && !names.has("pos_embed"))
    return because("a DINOv3 ViT", "LayerScale and register tensors, no positions", gamma);
  if (const std::string gate = names.first_with("mlp.fc1_g"); !gate.empty())
    return because("an EVA-02 ViT", "a gated MLP", gate);
  if (const auto hidden = names.size("blocks.0.mlp.fc2.weight", 1);
      hidden && names.size("blocks.0.mlp.fc1.weight", 0) == 2 * *hidden && names.has("blocks.0.attn.q_bias"))
    return because("an EVA-02 ViT", "a gated MLP in one layer", "blocks.0.mlp.fc1.weight");
  if (names.has("norm_pre.weight") && names.any("attn_pool."))
    return because("a Perception Encoder", "a norm before the blocks and attention pooling", "norm_pre.weight");
  if (const std::string gate = names.first_with("mlp.w12"); !gate.empty())
    return because("a DINOv2 ViT", "a gated MLP", gate);
  if (const std::string scale = names.first_with(".ls1.gamma"); !scale.empty()) {
    if (!registers.empty() && class_token)
      return because("a DINOv2 ViT with registers", "register and LayerScale tensors", registers);
    if (!class_token) return because("a ViT without a class token", "LayerScale tensors", scale);
    const auto positions = names.size("pos_embed", 1);
    return because(positions && is_square(*positions) ? "a DeiT-III ViT" : "a DINOv2 ViT", "LayerScale tensors", scale);
  }
  if (!gamma.empty())
    return because(class_token ? "an EVA ViT" : "a ViT without a class token", "LayerScale tensors", gamma);
  if (names.has("norm_pre.weight")) return because("a CLIP ViT", "a norm before the blocks", "norm_pre.weight");
  if (const std::string pool = names.first_with("attn_pool."); !pool.empty())
    return because("a SigLIP ViT", "attention pooling", pool);
  if (!registers.empty()) return because("a ViT with registers", "register tokens", registers);
  if (names.has("fc_norm.weight"))
    return because("a ViT with average pooling", "a norm after the pooling", "fc_norm.weight");
  if (!class_token) return "a ViT without a class token";
  if (names.any(".q_norm.")) return because("a ViT with QK normalisation", "the norms", names.first_with(".q_norm."));
  if (!names.has("blocks.0.attn.qkv.bias")) return "a ViT without QKV biases";
  return "a ViT with timm's names";
}

/// The side of the grid of a ViT's positions: of pos_embed with or without its prefix tokens, or of relative biases.
std::optional<std::int64_t> grid_side(const TensorNames& names) {
  const auto root = [](std::int64_t n) { return std::lround(std::sqrt(static_cast<double>(n))); };
  const std::int64_t prefix =
      (names.has("cls_token") ? 1 : 0) + (names.has("dist_token") ? 1 : 0) + names.size("reg_token", 1).value_or(0);
  if (const auto rows = names.size("pos_embed", 1)) {
    if (is_square(*rows)) return root(*rows);
    if (is_square(*rows - prefix)) return root(*rows - prefix);
  }
  if (const auto rows = names.size("blocks.0.attn.relative_position_bias_table", 0); rows && is_square(*rows - 3))
    return (root(*rows - 3) + 1) / 2;
  return std::nullopt;
}

std::string vit_layout(const TensorNames& names) {
  std::string sizes;
  const auto add = [&](const char* name, std::optional<std::int64_t> value) {
    if (value) sizes += text(sizes.empty() ? " of " : ", ", name, " ", *value);
  };
  const auto patch = names.size("patch_embed.proj.weight", 2);
  add("dim", names.size("patch_embed.proj.weight", 0));
  add("depth", names.count("blocks.", ".norm1.weight"));
  add("patch", patch);
  if (const auto side = grid_side(names); side && patch) add("image_size", *side * *patch);
  const auto classes = names.size("head.weight", 0);
  add("classes", classes);
  return vit_family(names) + sizes + (classes ? "" : ", without a head");
}

std::string resnet_layout(const TensorNames& names) {
  if (names.has("conv1.0.weight")) return "a ResNet with a deep stem (ResNet-D: conv1.0.weight)";
  if (const std::string gate = names.first_with(".se."); !gate.empty()) return because("an SE-ResNet", "gates", gate);
  const bool bottleneck = names.has("layer1.0.conv3.weight");
  std::array<int, 4> blocks{};
  for (std::size_t i = 0; i < 4; ++i) blocks[i] = names.count(text("layer", i + 1, "."), ".conv1.weight");
  const auto found = std::ranges::find_if(
      kResNetArchs, [&](const ResNetArch& arch) { return arch.bottleneck == bottleneck && arch.blocks == blocks; });
  std::string out = found != kResNetArchs.end() ? text("a ", found->name)
                                                : text("a ResNet of ", blocks[0], ", ", blocks[1], ", ", blocks[2],
                                                       " and ", blocks[3], " blocks");
  if (const auto in = names.size("layer1.0.conv2.weight", 1), all = names.size("layer1.0.conv2.weight", 0);
      in && all && *in != *all)
    out = text("a ResNeXt of ", *all / *in, " groups");
  if (const auto width = names.size("conv1.weight", 0)) out += text(" of width ", *width);
  const auto classes = names.size("fc.weight", 0);
  return out + (classes ? text(" for ", *classes, " classes") : ", without a head");
}

}  // namespace

std::string wrapping_prefix(const Tensors& tensors, const Tensors& state) {
  if (tensors.empty() || state.empty()) return "";
  // Names are sorted, so a prefix of the first and the last is shared by all.
  const std::string &first = tensors.begin()->first, &last = tensors.rbegin()->first;
  const auto common = static_cast<std::size_t>(std::ranges::mismatch(first, last).in1 - first.begin());
  for (std::size_t dot = first.find('.'); dot != std::string::npos && dot < common; dot = first.find('.', dot + 1)) {
    const std::string prefix = first.substr(0, dot + 1);
    const auto known =
        std::ranges::count_if(state, [&](const auto& own) { return tensors.contains(prefix + own.first); });
    if (2 * known > static_cast<std::ptrdiff_t>(state.size())) return prefix;
  }
  return "";
}

std::string part_prefix(const Tensors& tensors, const Tensors& state) {
  if (state.empty()) return "";
  const std::string own = "." + state.begin()->first;
  for (const auto& [name, tensor] : tensors) {
    if (!name.ends_with(own)) continue;
    const std::string prefix = name.substr(0, name.size() - own.size() + 1);
    const bool all = std::ranges::all_of(state, [&](const auto& item) {
      return tensors.contains(prefix + item.first) || item.first.ends_with("num_batches_tracked");
    });
    if (all) return prefix;
  }
  return "";
}

std::string describe_layout(const Tensors& tensors) {
  if (tensors.empty()) return "a file without tensors";
  const TensorNames names(tensors);
  for (const Sign& sign : kForeign)
    if (names.any(sign.sign)) return sign.family;
  if (names.has("patch_embed.proj.weight") && names.any("blocks.0.")) return vit_layout(names);
  if (names.has("layer1.0.conv1.weight")) return resnet_layout(names);
  const auto second = std::next(tensors.begin());
  return text("an unknown model: ", tensors.size(), " tensors, \"", tensors.begin()->first, "\"",
              second == tensors.end() ? "" : text(", \"", second->first, "\""), tensors.size() > 2 ? " ..." : "");
}

}  // namespace vitrine
