#include "common/models/vit/read_structure.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>

#include "common/base/error.h"
#include "common/models/weights/layout.h"
#include "common/models/weights/naming_tables.h"
#include "common/models/tensor_names.h"
#include "common/models/vit/architectures.h"

namespace vitrine {
namespace {

constexpr int kUsualHeadDim = 64;
constexpr std::int64_t kMaxSize = 1 << 24;  // larger sizes in a file are not a ViT's, and must not overflow

int root_of(std::int64_t square) {
  return static_cast<int>(std::lround(std::sqrt(static_cast<double>(square))));
}

class Reader {
 public:
  Reader(const Tensors& weights, const VitHints& hints, const std::string& where)
      : weights_(weights), names_(weights), hints_(hints), where_(where) {}

  VitReading read() {
    if (!hints_.arch.empty()) arch_ = find_architecture(hints_.arch, where_);
    read_sizes();
    read_tokens();
    read_grid();
    read_blocks();
    read_attention();
    read_norms();
    read_pooling();
    read_rope();
    read_heads();
    read_activation();
    s_.check(where_);
    return {s_, assumed_, notes_};
  }

 private:
  template <class... Parts>
  [[noreturn]] void misfit(const std::string& remedy, const Parts&... parts) const {
    throw Error(ErrorKind::kInput, {.path = where_,
                                    .what = text(parts..., "; the file looks like ", describe_layout(weights_)),
                                    .remedy = remedy});
  }
  int size(const std::string& name, std::int64_t dimension) const {
    const auto found = names_.size(name, dimension);
    if (!found)
      misfit("give the weights of a ViT with timm's names", "tensor \"", name, "\" is missing, which a ViT needs");
    if (*found < 1 || *found > kMaxSize) misfit("", "tensor \"", name, "\" has a dimension of ", *found);
    return static_cast<int>(*found);
  }
  template <class... Parts>
  void assume(const Parts&... parts) {
    assumed_.push_back(text(parts...));
  }
  /// Notes a value that is not that of the architecture's name.
  template <class Value>
  void differs(const char* what, const Value& value, const Value& named) {
    if (text(value) != text(named))
      notes_.push_back(text(what, " = ", value, ", although ", arch_->name, " has ", named));
  }

  void read_sizes() {
    s_.arch = hints_.arch;
    s_.dim = size("patch_embed.proj.weight", 0);
    file_patch_ = size("patch_embed.proj.weight", 2);
    if (file_patch_ > 256) misfit("", "a patch of ", file_patch_, " pixels is not supported");
    s_.patch = hints_.patch > 0 ? hints_.patch : file_patch_;
    s_.depth = names_.count("blocks.", ".norm1.weight");
    size("blocks.0.norm1.weight", 0);
    if (!names_.has("blocks.0.norm1.bias")) misfit("choose another teacher", "RMSNorm is not supported");
    if (!arch_ && !hints_.arch.empty())
      notes_.push_back(
          text("the architecture \"", hints_.arch, "\" is not known; its structure is taken from the weights"));
    if (arch_) check_sizes(*arch_);
  }

  /// Weights fit if they have the sizes of the architecture's name, or those that config.json gives beside it (timm's
  /// model_args), which may be out of date.
  void check_sizes(const VitArchitecture& arch) const {
    const int dim = hints_.dim > 0 ? hints_.dim : arch.dim, depth = hints_.depth > 0 ? hints_.depth : arch.depth;
    if ((s_.dim == arch.dim && s_.depth == arch.depth) || (s_.dim == dim && s_.depth == depth)) return;
    const bool key = hints_.arch_source == VitHints().arch_source;
    misfit(key ? text("give the weights of that architecture, or leave out ", hints_.arch_source)
               : "give the weights of that architecture, or set teacher.arch to theirs (with a name that is not "
                 "timm's the structure is read from the weights)",
           hints_.arch_source, " says ", arch.name, ", which has dim ", dim, " and depth ", depth,
           hints_.dim > 0 || hints_.depth > 0 ? " there" : "");
  }

  void read_tokens() {
    s_.class_token = names_.has("cls_token");
    s_.distillation_token = names_.has("dist_token");
    s_.registers = names_.has("reg_token") ? size("reg_token", 1) : 0;
    s_.patch_bias = names_.has("patch_embed.proj.bias");
    s_.norm_pre = names_.has("norm_pre.weight");
    s_.classes = names_.has("head.weight") ? size("head.weight", 0) : 0;
    s_.head_bias = s_.classes == 0 || names_.has("head.bias");
  }

  /// The side of the grid that the weights were trained with, and positions.
  void read_grid() {
    int side = 0;
    if (const auto rows = names_.size("pos_embed", 1)) {
      side = grid_of_positions(*rows);
    } else {
      s_.positions = VitPositions::kNone;
      if (const auto table = names_.size("blocks.0.attn.relative_position_bias_table", 0)) {
        s_.relative_positions = true;
        if (*table < 4 || !is_square(*table - 3))
          misfit("", "the relative position biases are not those of a square grid");
        side = (root_of(*table - 3) + 1) / 2;
      }
    }
    if (side > 4096) misfit("", "a grid of ", side, " patches a side is not supported");
    file_grid_ = side;
    s_.image_size = hints_.image_size > 0 ? hints_.image_size : side * file_patch_;
    if (s_.image_size == 0) s_.image_size = size_of_name();
    if (s_.patch > 0 && s_.image_size % s_.patch != 0)
      misfit("choose a multiple", "image_size = ", s_.image_size, " is not a multiple of the patch, ", s_.patch);
  }

  int grid_of_positions(std::int64_t rows) {
    const std::int64_t prefix = s_.prefix_tokens(), patches = rows - prefix;
    const bool all = patches > 0 && is_square(patches), only = is_square(rows);
    const auto matches = [&](std::int64_t count) {
      return hints_.image_size > 0 &&
             count == std::int64_t{hints_.image_size / file_patch_} * (hints_.image_size / file_patch_);
    };
    if (!all && !only)
      misfit("", "pos_embed has ", rows, " rows, which is not a square grid with or without ", prefix,
             " prefix tokens");
    const bool take_all = prefix == 0 || !only || (all && matches(patches) && !matches(rows));
    s_.positions = take_all ? VitPositions::kAllTokens : VitPositions::kPatches;
    return root_of(take_all ? patches : rows);
  }

  /// Without positions in the weights: the size at the end of the architecture's name, or the usual one.
  int size_of_name() {
    const std::string name = hints_.arch.substr(0, hints_.arch.find('.'));
    const std::string digits = name.substr(std::min(name.size(), name.find_last_not_of("0123456789") + 1));
    const int named = !digits.empty() && digits.size() <= 4 && name.ends_with("_" + digits) ? std::stoi(digits) : 0;
    if (named > 0) return named;
    const int usual = is_dinov3() ? 256 : 224;
    assume("image_size ", usual);
    return usual;
  }

  void read_blocks() {
    const std::string block = "blocks.0.";
    if (names_.has(block + "ls1.gamma"))
      s_.layer_scale = VitLayerScale::kLs;
    else if (names_.has(block + "gamma_1"))
      s_.layer_scale = VitLayerScale::kGamma;
    s_.mlp_hidden = size(block + "mlp.fc2.weight", 1);
    s_.mlp_norm = names_.has(block + "mlp.norm.weight");
    if (names_.has(block + "mlp.fc1_g.weight"))
      s_.mlp = VitMlp::kSwigluSplit;
    else if (size(block + "mlp.fc1.weight", 0) == 2 * s_.mlp_hidden)
      s_.mlp = VitMlp::kSwigluPacked;
  }

  void read_attention() {
    const std::string attn = "blocks.0.attn.";
    if (names_.has(attn + "q_norm.weight")) misfit("choose another teacher", "QK normalisation is not supported");
    if (names_.has("rope.freqs")) misfit("choose another teacher", "learned rotary frequencies are not supported");
    s_.attention_norm = names_.has(attn + "norm.weight");
    if (names_.has(attn + "q_proj.weight")) {
      s_.qkv = VitQkv::kSplit;
      s_.qkv_bias = names_.has(attn + "q_proj.bias");
      attention_width_ = size(attn + "q_proj.weight", 0);
    } else {
      s_.qkv = names_.has(attn + "q_bias") ? VitQkv::kFusedQvBias : VitQkv::kFused;
      s_.qkv_bias = s_.qkv == VitQkv::kFusedQvBias || names_.has(attn + "qkv.bias");
      attention_width_ = size(attn + "qkv.weight", 0) / 3;
    }
  }

  void read_norms() {
    s_.norm = names_.has("norm.weight");
    s_.fc_norm = names_.has("fc_norm.weight");
    // OpenCLIP calls the norms before and after the pooling alike; those without a norm before the blocks have the
    // latter.
    const bool open_clip = hints_.naming == kOpenClip;
    if (open_clip && !s_.fc_norm && hints_.norm_after_pooling.value_or(!s_.norm_pre)) std::swap(s_.norm, s_.fc_norm);
    if (!s_.norm && !s_.fc_norm && !(arch_ && arch_->no_final_norm))
      misfit("the file is incomplete, fetch it again, or name the architecture if it has no final norm",
             "norm.weight and fc_norm.weight are both missing");
    const bool post_mlp_norm = s_.mlp_norm && s_.mlp == VitMlp::kPlain;  // BEiT-3
    s_.eps = s_.norm_pre || is_dinov3() || post_mlp_norm || open_clip ? 1e-5 : 1e-6;
    if (hints_.eps <= 0 || hints_.eps == s_.eps) return;
    notes_.push_back(text("the LayerNorms' eps is ", hints_.eps, " as its card says, not this family's ", s_.eps));
    s_.eps = hints_.eps;
  }

  void check_pooling() const {
    const std::string& said = hints_.pooling;
    if (said.empty() || said == "class" || said == "mean") return;
    if (said == "attention" && names_.has("attn_pool.latent")) return;
    throw Error(
        ErrorKind::kInput,
        {.path = where_,
         .what = text("pooling = \"", said, "\" is not supported",
                      said == "attention" ? " without an attention pool, which the weights lack" : ""),
         .remedy = "choose a teacher that takes its class token, the mean of its patches or an attention pool"});
  }

  void read_pooling() {
    check_pooling();
    if (s_.distillation_token) {
      // transformers' DeiTForImageClassification has one head, on the class token.
      const bool one_head = s_.classes > 0 && !names_.has("head_dist.weight");
      s_.pooling = one_head ? VitPooling::kClass : VitPooling::kClassAndDistilled;
    } else if (names_.has("attn_pool.latent")) {
      s_.pooling = VitPooling::kAttention;
      s_.pool_prefix = s_.norm_pre;  // Perception Encoders
      s_.pool_hidden = size("attn_pool.mlp.fc1.weight", 0);
    } else if (!s_.class_token) {
      s_.pooling = VitPooling::kMean;
    } else {
      const bool mean = s_.fc_norm || is_dinov3() || (arch_ && arch_->mean_of_patches);
      s_.pooling = mean ? VitPooling::kMean : VitPooling::kClass;
      if (hints_.pooling == "class")
        s_.pooling = VitPooling::kClass;
      else if (hints_.pooling == "mean")
        s_.pooling = VitPooling::kMean;
      else if (is_dinov3())
        assume("pooling mean of patches, as in timm (Meta's code takes the class token)");
      else if (hints_.naming == kOpenClip && mean)
        assume("pooling mean of patches, as in CLIPA");
    }
  }

  bool has_gamma() const { return names_.has("blocks.0.gamma_1"); }
  bool is_dinov3() const {
    return has_gamma() && s_.class_token && s_.registers > 0 && !names_.has("pos_embed") && !s_.relative_positions;
  }

  void read_rope() {
    const auto cat = [&](double temperature, int reference, double offset, bool xy) {
      s_.rope = VitRope::kCat;
      s_.rope_temperature = temperature, s_.rope_reference_grid = reference, s_.rope_offset = offset, s_.rope_xy = xy;
    };
    const bool positions = s_.positions != VitPositions::kNone;
    const bool eva02 =
        positions && (s_.qkv == VitQkv::kSplit || (s_.qkv == VitQkv::kFusedQvBias && s_.mlp == VitMlp::kSwigluPacked));
    const bool encoder = s_.norm_pre && (s_.pooling == VitPooling::kAttention || (arch_ && arch_->mean_of_patches));
    if (is_dinov3()) {
      s_.rope = VitRope::kDinov3;
      s_.rope_temperature = 100;
      s_.rope_half = true;
    } else if (arch_ && arch_->axial_rope) {
      cat(100, 0, 0, true);
    } else if (encoder) {
      const bool named = arch_ && arch_->rope_reference_grid > 0;
      cat(1e4, named ? arch_->rope_reference_grid : file_grid_, s_.class_token ? 1 : 0, true);
      if (!named) assume("rotary positions of a grid of ", file_grid_);
    } else if (eva02 || (!positions && !s_.relative_positions && !s_.class_token)) {
      cat(1e4, 16, 0, false);
    } else if (!positions && !s_.relative_positions) {
      cat(100, 0, 0, true);
      assume("axial rotary positions with temperature 100");
    } else if (!arch_ && s_.layer_scale != VitLayerScale::kNone && s_.positions == VitPositions::kPatches &&
               s_.class_token && s_.registers == 0 && !s_.norm_pre) {
      assume("no rotary positions (a RoPE-ViT with pos_embed has them)");  // and DeiT-III's names
    }
  }

  void read_heads() {
    const auto table = names_.size("blocks.0.attn.relative_position_bias_table", 1);
    if (hints_.heads > 0) {
      s_.heads = hints_.heads;
    } else if (table) {
      s_.heads = static_cast<int>(*table);
    } else if (arch_) {
      s_.heads = arch_->heads;
    } else {
      s_.heads = usual_heads();
      assume("heads ", s_.heads,
             s_.heads * kUsualHeadDim == s_.dim ? text(" (dim ", s_.dim, " / ", kUsualHeadDim, ")")
                                                : text(" (as in timm's models of dim ", s_.dim, ")"));
    }
    if (arch_ && s_.dim == arch_->dim && s_.depth == arch_->depth) differs("heads", s_.heads, arch_->heads);
    if (s_.heads <= 0 || attention_width_ % s_.heads != 0)
      misfit("set teacher.heads", "heads = ", s_.heads, " does not divide the attention's width, ", attention_width_);
    s_.head_dim = attention_width_ / s_.heads;
    if (s_.pooling != VitPooling::kAttention) return;
    s_.pool_heads = s_.pool_prefix ? 8 : s_.heads;
    if (s_.pool_prefix && !arch_) assume("8 heads of the attention pool");
  }

  int usual_heads() const {
    struct Usual {
      int dim, heads;
    };
    constexpr std::array kUsual{Usual{1152, 16}, Usual{1280, 16}, Usual{1408, 16}, Usual{1664, 16}, Usual{4096, 32}};
    if (s_.dim == 1280 && is_dinov3()) return 20;
    if (s_.dim == 1536 && (s_.pooling == VitPooling::kAttention || s_.mlp == VitMlp::kPlain)) return 16;
    for (const Usual& usual : kUsual)
      if (usual.dim == s_.dim) return usual.heads;
    if (s_.dim % kUsualHeadDim != 0) misfit("set teacher.heads", "the number of heads is not known for dim ", s_.dim);
    return s_.dim / kUsualHeadDim;
  }

  void read_activation() {
    std::string said = hints_.activation;
    if (said.empty() && s_.mlp != VitMlp::kSwigluPacked)
      said = hints_.card_activation;
    else if (said.empty() && !hints_.card_activation.empty() && hints_.card_activation != "silu")
      notes_.push_back(
          text("its card's activation, ", hints_.card_activation, ", is not used: the gated MLP has silu"));
    if (!said.empty()) {
      s_.activation = activation_from_name(said, where_ + ": activation");
      if (s_.mlp == VitMlp::kPlain && arch_)
        differs("activation", activation_name(s_.activation), activation_name(arch_->activation));
    } else if (s_.mlp != VitMlp::kPlain) {
      s_.activation = VitActivation::kSilu;
    } else if (arch_) {
      s_.activation = arch_->activation;
    } else {
      assume("activation gelu", s_.norm_pre ? " (OpenAI's CLIP and some others need quick_gelu)"
                                : s_.pooling == VitPooling::kAttention ? " (some SigLIP models need gelu_tanh)"
                                                                       : "");
    }
  }

  const Tensors& weights_;
  const TensorNames names_;
  const VitHints& hints_;
  const std::string& where_;
  std::optional<VitArchitecture> arch_;
  VitStructure s_;
  std::vector<std::string> assumed_, notes_;
  int file_patch_ = 0, file_grid_ = 0, attention_width_ = 0;
};

}  // namespace

VitReading structure_of(const Tensors& weights, const VitHints& hints, const std::string& where) {
  return Reader(weights, hints, where).read();
}

}  // namespace vitrine
