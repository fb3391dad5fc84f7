#include <torch/torch.h>

#include "common/models/vit/vit.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <regex>

#include "common/base/error.h"
#include "common/models/autocast.h"
#include "common/models/head.h"

namespace vitrine {
namespace {

constexpr double kEps = 1e-6;

struct Size {
  const char* name;
  int dim, depth, heads;
};
constexpr std::array kSizes{Size{"tiny", 192, 12, 3}, Size{"small", 384, 12, 6}, Size{"base", 768, 12, 12},
                            Size{"large", 1024, 24, 16}};

void set_if_zero(int& value, int from_arch) {
  if (value == 0) value = from_arch;
}

torch::nn::LayerNorm layer_norm(int dim) {
  return torch::nn::LayerNorm(torch::nn::LayerNormOptions({dim}).eps(kEps));
}

/// timm truncates at ±2, which is 100 standard deviations: effectively a normal distribution.
torch::nn::Linear linear(int in, int out) {
  torch::nn::Linear layer(in, out);
  const torch::NoGradGuard no_grad;
  layer->weight.normal_(0, 0.02);
  layer->bias.zero_();
  return layer;
}

class BlockImpl : public torch::nn::Module {
 public:
  explicit BlockImpl(const VitOptions& options) : heads_(options.heads) {
    norm1_ = register_module("norm1", layer_norm(options.dim));
    const auto attention = register_module("attn", std::make_shared<torch::nn::Module>("Attention"));
    qkv_ = attention->register_module("qkv", linear(options.dim, 3 * options.dim));
    proj_ = attention->register_module("proj", linear(options.dim, options.dim));
    norm2_ = register_module("norm2", layer_norm(options.dim));
    const auto mlp = register_module("mlp", std::make_shared<torch::nn::Module>("Mlp"));
    fc1_ = mlp->register_module("fc1", linear(options.dim, options.mlp_ratio * options.dim));
    fc2_ = mlp->register_module("fc2", linear(options.mlp_ratio * options.dim, options.dim));
  }

  /// x: [N, tokens, dim]. `attention`, if not null, receives the class token's softmax row over the patches, [N, heads,
  /// tokens - 1].
  at::Tensor forward(at::Tensor x, at::Tensor* attention) {
    const int64_t n = x.size(0), tokens = x.size(1), dim = x.size(2);
    const auto qkv = qkv_(norm1_(x)).reshape({n, tokens, 3, heads_, dim / heads_}).permute({2, 0, 3, 1, 4});
    const at::Tensor q = qkv[0], k = qkv[1], v = qkv[2];
    if (attention != nullptr) *attention = class_attention(q, k);
    const auto mixed = at::scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape({n, tokens, dim});
    x = x + proj_(mixed);
    return x + fc2_(at::gelu(fc1_(norm2_(x))));
  }

 private:
  /// One row of the attention matrix, always in FP32.
  static at::Tensor class_attention(const at::Tensor& q, const at::Tensor& k) {
    const Autocast off(q.device(), at::kFloat);
    const auto query = q.narrow(2, 0, 1).to(at::kFloat) / std::sqrt(static_cast<double>(q.size(3)));
    const auto row = at::softmax(at::matmul(query, k.to(at::kFloat).transpose(2, 3)), -1);
    return row.squeeze(2).narrow(2, 1, k.size(2) - 1);
  }

  int64_t heads_;
  torch::nn::LayerNorm norm1_{nullptr}, norm2_{nullptr};
  torch::nn::Linear qkv_{nullptr}, proj_{nullptr}, fc1_{nullptr}, fc2_{nullptr};
};

void check_taps(const std::vector<int64_t>& taps, int depth) {
  for (const int64_t block : taps)
    if (block < 0 || block >= depth) fail("block ", block, " cannot be tapped; the ViT has blocks 0 to ", depth - 1);
}

}  // namespace

void VitOptions::fields(Fields& f) {
  f.text("arch", arch, "vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE, or empty with all dimensions given");
  f.integer("image_size", image_size, "side of the square input in pixels; 0: from arch", {0, 4096});
  f.integer("patch", patch, "side of a patch; 0: from arch", {0, 256});
  f.integer("dim", dim, "width of a token; 0: from arch", {0, 16384});
  f.integer("depth", depth, "number of blocks; 0: from arch", {0, 256});
  f.integer("heads", heads, "attention heads; 0: from arch", {0, 256});
  f.integer("classes", classes, "number of classes", {1, 1 << 24});
  f.integer("mlp_ratio", mlp_ratio, "hidden width of the MLP, as a multiple of dim", {1, 64});
}

VitOptions resolve(VitOptions options) {
  if (!options.arch.empty()) {
    static const std::regex pattern("vit_(tiny|small|base|large)_patch(8|14|16|32)_([1-9][0-9]{1,3})");
    std::smatch match;
    if (!std::regex_match(options.arch, match, pattern))
      fail("unknown architecture \"", options.arch,
           "\"; expected vit_{tiny,small,base,large}_patch{8,14,16,32}_SIZE, for instance vit_base_patch16_224");
    for (const Size& size : kSizes) {
      if (match[1] != size.name) continue;
      set_if_zero(options.dim, size.dim);
      set_if_zero(options.depth, size.depth);
      set_if_zero(options.heads, size.heads);
    }
    set_if_zero(options.patch, std::stoi(match[2]));
    set_if_zero(options.image_size, std::stoi(match[3]));
  }
  const std::string what = options.arch.empty() ? "the ViT without an arch" : "the ViT " + options.arch;
  const std::pair<const char*, int> dimensions[] = {
      {"image_size", options.image_size}, {"patch", options.patch}, {"dim", options.dim},
      {"depth", options.depth},           {"heads", options.heads}, {"classes", options.classes},
      {"mlp_ratio", options.mlp_ratio}};
  for (const auto& [name, value] : dimensions)
    if (value <= 0) fail(what, " has ", name, " = ", value, "; expected at least 1");
  if (options.image_size % options.patch != 0)
    fail(what, " has image_size = ", options.image_size, ", which patch = ", options.patch,
         " does not divide; choose a multiple");
  if (options.dim % options.heads != 0)
    fail(what, " has dim = ", options.dim, ", which heads = ", options.heads, " does not divide; choose a multiple");
  return options;
}

VitImpl::VitImpl(const VitOptions& options) : options_(resolve(options)) {
  const int dim = options_.dim;
  cls_token_ = register_parameter("cls_token", at::empty({1, 1, dim}).normal_(0, 1e-6));
  pos_embed_ = register_parameter("pos_embed", at::empty({1, grid() * grid() + 1, dim}).normal_(0, 0.02));
  const auto embed = register_module("patch_embed", std::make_shared<torch::nn::Module>("PatchEmbed"));
  proj_ = embed->register_module(
      "proj", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, dim, options_.patch).stride(options_.patch)));
  blocks_ = register_module("blocks", torch::nn::ModuleList());
  for (int i = 0; i < options_.depth; ++i) blocks_->push_back(std::make_shared<BlockImpl>(options_));
  norm_ = register_module("norm", layer_norm(dim));
  head_ = register_module("head", linear(dim, options_.classes));
}

VitOutputs VitImpl::forward(at::Tensor x, const VitTaps& taps) {
  check_taps(taps.features, depth());
  check_taps(taps.attentions, depth());
  const int64_t size = options_.image_size;
  if (x.dim() != 4 || x.size(1) != 3 || x.size(2) != size || x.size(3) != size)
    fail("the ViT cannot take images of shape ", x.sizes(), "; expected [N, 3, ", size, ", ", size, "]");
  const int64_t n = x.size(0), side = grid(), width = dim();

  VitOutputs outputs;
  outputs.features.resize(taps.features.size());
  outputs.attentions.resize(taps.attentions.size());
  x = proj_(x).flatten(2).transpose(1, 2);
  x = at::cat({cls_token_.expand({n, -1, -1}), x.to(cls_token_.scalar_type())}, 1) + pos_embed_;
  for (int64_t block = 0; block < depth(); ++block) {
    const bool wanted = std::find(taps.attentions.begin(), taps.attentions.end(), block) != taps.attentions.end();
    at::Tensor attention;
    x = blocks_->at<BlockImpl>(static_cast<std::size_t>(block)).forward(x, wanted ? &attention : nullptr);
    for (std::size_t i = 0; i < taps.attentions.size(); ++i)
      if (taps.attentions[i] == block) outputs.attentions[i] = attention.reshape({n, heads(), side, side}).contiguous();
    for (std::size_t i = 0; i < taps.features.size(); ++i) {
      if (taps.features[i] != block) continue;
      at::Tensor tokens = x.narrow(1, 1, side * side).to(at::kFloat);
      if (taps.normalise) tokens = at::layer_norm(tokens, {width}, {}, {}, kEps);
      outputs.features[i] = tokens.transpose(1, 2).reshape({n, width, side, side}).contiguous();
    }
  }
  outputs.logits = full_precision_head(
      x.select(1, 0), [&](const at::Tensor& token) { return norm_(token); }, head_);
  return outputs;
}

}  // namespace vitrine
