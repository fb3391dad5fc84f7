#include "common/models/weights/naming_tables.h"

namespace vitrine {
namespace {

// Hugging Face transformers (https://github.com/huggingface/transformers, src/transformers/models/*/modeling_*.py).

constexpr Rename kVitBlock[] = {{"attention.attention.query", "attn", Change::kQuery},
                                {"attention.attention.key", "attn", Change::kKey},
                                {"attention.attention.value", "attn", Change::kValue},
                                {"attention.output.dense", "attn.proj"},
                                {"intermediate.dense", "mlp.fc1"},
                                {"output.dense", "mlp.fc2"},
                                {"layernorm_before", "norm1"},
                                {"layernorm_after", "norm2"}};
constexpr Rename kVitOutside[] = {{"embeddings.cls_token", "cls_token"},
                                  {"embeddings.distillation_token", "dist_token"},
                                  {"embeddings.mask_token", "", Change::kDrop},
                                  {"embeddings.position_embeddings", "pos_embed"},
                                  {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
                                  {"layernorm", "norm"},
                                  {"pooler", "", Change::kDrop}};
constexpr Rename kVitBeside[] = {{"classifier", "head", Change::kHead},
                                 {"cls_classifier", "head", Change::kHead},
                                 {"distillation_classifier", "head_dist", Change::kHead}};

constexpr Rename kBeitBlock[] = {
    {"attention.attention.query", "attn", Change::kQuery},
    {"attention.attention.key", "attn", Change::kKey},
    {"attention.attention.value", "attn", Change::kValue},
    {"attention.attention.relative_position_bias.relative_position_bias_table", "attn.relative_position_bias_table"},
    {"attention.attention.relative_position_bias.relative_position_index", "", Change::kDrop},
    {"attention.output.dense", "attn.proj"},
    {"intermediate.dense", "mlp.fc1"},
    {"output.dense", "mlp.fc2"},
    {"layernorm_before", "norm1"},
    {"layernorm_after", "norm2"},
    {"lambda_1", "gamma_1"},
    {"lambda_2", "gamma_2"}};
constexpr Rename kBeitOutside[] = {
    {"embeddings.cls_token", "cls_token"},
    {"embeddings.mask_token", "", Change::kDrop},
    {"embeddings.position_embeddings", "pos_embed"},
    {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
    {"encoder.relative_position_bias.relative_position_bias_table", "rel_pos_bias.relative_position_bias_table"},
    {"encoder.relative_position_bias.relative_position_index", "", Change::kDrop},
    {"layernorm", "norm"},
    {"pooler.layernorm", "fc_norm"}};

constexpr Rename kDinov2Block[] = {{"attention.attention.query", "attn", Change::kQuery},
                                   {"attention.attention.key", "attn", Change::kKey},
                                   {"attention.attention.value", "attn", Change::kValue},
                                   {"attention.output.dense", "attn.proj"},
                                   {"layer_scale1.lambda1", "ls1.gamma"},
                                   {"layer_scale2.lambda1", "ls2.gamma"},
                                   {"mlp.weights_in", "mlp.fc1"},
                                   {"mlp.weights_out", "mlp.fc2"},
                                   {"mlp.fc1", "mlp.fc1"},
                                   {"mlp.fc2", "mlp.fc2"},
                                   {"norm1", "norm1"},
                                   {"norm2", "norm2"}};
constexpr Rename kDinov2Outside[] = {{"embeddings.cls_token", "cls_token"},
                                     {"embeddings.register_tokens", "reg_token"},
                                     {"embeddings.mask_token", "", Change::kDrop},
                                     {"embeddings.position_embeddings", "pos_embed"},
                                     {"embeddings.patch_embeddings.projection", "patch_embed.proj"},
                                     {"layernorm", "norm"}};

constexpr Rename kDinov3Block[] = {{"attention.q_proj", "attn", Change::kQuery},
                                   {"attention.k_proj", "attn", Change::kKey},
                                   {"attention.v_proj", "attn", Change::kValue},
                                   {"attention.o_proj", "attn.proj"},
                                   {"layer_scale1.lambda1", "gamma_1"},
                                   {"layer_scale2.lambda1", "gamma_2"},
                                   {"mlp.up_proj", "mlp.fc1"},
                                   {"mlp.down_proj", "mlp.fc2"},
                                   {"norm1", "norm1"},
                                   {"norm2", "norm2"}};
constexpr Rename kDinov3GatedBlock[] = {{"attention.q_proj", "attn", Change::kQuery},
                                        {"attention.k_proj", "attn", Change::kKey},
                                        {"attention.v_proj", "attn", Change::kValue},
                                        {"attention.o_proj", "attn.proj"},
                                        {"layer_scale1.lambda1", "gamma_1"},
                                        {"layer_scale2.lambda1", "gamma_2"},
                                        {"mlp.gate_proj", "mlp.fc1_g"},
                                        {"mlp.up_proj", "mlp.fc1_x"},
                                        {"mlp.down_proj", "mlp.fc2"},
                                        {"norm1", "norm1"},
                                        {"norm2", "norm2"}};
constexpr Rename kDinov3Outside[] = {
    {"embeddings.cls_token", "cls_token"},        {"embeddings.register_tokens", "reg_token"},
    {"embeddings.mask_token", "", Change::kDrop}, {"embeddings.patch_embeddings", "patch_embed.proj"},
    {"rope_embeddings", "", Change::kDrop},       {"norm", "norm"}};

constexpr Rename kClipBlock[] = {{"self_attn.q_proj", "attn", Change::kQuery},
                                 {"self_attn.k_proj", "attn", Change::kKey},
                                 {"self_attn.v_proj", "attn", Change::kValue},
                                 {"self_attn.out_proj", "attn.proj"},
                                 {"layer_norm1", "norm1"},
                                 {"layer_norm2", "norm2"},
                                 {"mlp.fc1", "mlp.fc1"},
                                 {"mlp.fc2", "mlp.fc2"}};
constexpr Rename kClipOutside[] = {{"embeddings.class_embedding", "cls_token", Change::kToken},
                                   {"embeddings.patch_embedding", "patch_embed.proj"},
                                   {"embeddings.position_embedding.weight", "pos_embed", Change::kPositions},
                                   {"embeddings.position_ids", "", Change::kDrop},
                                   {"pre_layrnorm", "norm_pre"},  // sic
                                   {"post_layernorm", "norm"}};
constexpr Rename kClipBeside[] = {{"visual_projection.weight", "head.weight", Change::kProjection},
                                  {"classifier", "", Change::kOtherHead}};

constexpr Rename kSiglipOutside[] = {{"embeddings.patch_embedding.weight", "patch_embed.proj.weight", Change::kPatches},
                                     {"embeddings.patch_embedding.bias", "patch_embed.proj.bias"},
                                     {"embeddings.position_embedding.weight", "pos_embed", Change::kPositions},
                                     {"embeddings.position_ids", "", Change::kDrop},
                                     {"post_layernorm", "norm"},
                                     {"head.probe", "attn_pool.latent"},
                                     {"head.attention.in_proj_weight", "weight", Change::kPool},
                                     {"head.attention.in_proj_bias", "bias", Change::kPool},
                                     {"head.attention.out_proj", "attn_pool.proj"},
                                     {"head.layernorm", "attn_pool.norm"},
                                     {"head.mlp", "attn_pool.mlp"}};
constexpr Rename kSiglipBeside[] = {{"classifier", "head", Change::kHead}};

// torchvision (torchvision/models/vision_transformer.py).

constexpr Rename kTorchvisionBlock[] = {{"ln_1", "norm1"},
                                        {"self_attention.in_proj_weight", "attn.qkv.weight"},
                                        {"self_attention.in_proj_bias", "attn.qkv.bias"},
                                        {"self_attention.out_proj", "attn.proj"},
                                        {"ln_2", "norm2"},
                                        {"mlp.0", "mlp.fc1"},
                                        {"mlp.3", "mlp.fc2"},
                                        {"mlp.linear_1", "mlp.fc1"},
                                        {"mlp.linear_2", "mlp.fc2"}};
constexpr Rename kTorchvisionOutside[] = {{"class_token", "cls_token"},
                                          {"conv_proj", "patch_embed.proj"},
                                          {"encoder.pos_embedding", "pos_embed"},
                                          {"encoder.ln", "norm"},
                                          {"heads.head", "head"}};

// OpenAI CLIP and OpenCLIP (clip/model.py, open_clip/transformer.py), and Meta's Perception Encoder, which has an
// attention pool.

constexpr Rename kOpenClipBlock[] = {{"ln_1", "norm1"},
                                     {"attn.in_proj_weight", "attn.qkv.weight"},
                                     {"attn.in_proj_bias", "attn.qkv.bias"},
                                     {"attn.out_proj", "attn.proj"},
                                     {"ls_1.gamma", "ls1.gamma"},
                                     {"ln_2", "norm2"},
                                     {"mlp.c_fc", "mlp.fc1"},
                                     {"mlp.c_proj", "mlp.fc2"},
                                     {"ls_2.gamma", "ls2.gamma"}};
constexpr Rename kPerceptionBlock[] = {{"ln_1", "norm1"},
                                       {"attn.in_proj_weight", "attn.qkv.weight"},
                                       {"attn.in_proj_bias", "attn.qkv.bias"},
                                       {"attn.out_proj", "attn.proj"},
                                       {"ls_1.gamma", "gamma_1"},
                                       {"ln_2", "norm2"},
                                       {"mlp.c_fc", "mlp.fc1"},
                                       {"mlp.c_proj", "mlp.fc2"},
                                       {"ls_2.gamma", "gamma_2"}};
constexpr Rename kOpenClipOutside[] = {{"class_embedding", "cls_token", Change::kToken},
                                       {"conv1", "patch_embed.proj"},
                                       {"positional_embedding", "pos_embed", Change::kPositions},
                                       {"ln_pre", "norm_pre"},
                                       {"ln_post", "norm"},
                                       {"proj", "head.weight", Change::kTransposed},
                                       {"attn_pool.probe", "attn_pool.latent"},
                                       {"attn_pool.attn.in_proj_weight", "weight", Change::kPool},
                                       {"attn_pool.attn.in_proj_bias", "bias", Change::kPool},
                                       {"attn_pool.attn.out_proj", "attn_pool.proj"},
                                       {"attn_pool.layernorm", "attn_pool.norm"},
                                       {"attn_pool.mlp.c_fc", "attn_pool.mlp.fc1"},
                                       {"attn_pool.mlp.c_proj", "attn_pool.mlp.fc2"}};

// Projects whose names are mostly timm's: Meta's DINOv2, DINOv3, MAE and DeiT-III, BEiT, EVA.

constexpr Rename kOriginalBlock[] = {{"mlp.w12", "mlp.fc1"},
                                     {"mlp.w1", "mlp.fc1_g"},
                                     {"mlp.w2", "mlp.fc1_x"},
                                     {"mlp.w3", "mlp.fc2"},
                                     {"mlp.ffn_ln", "mlp.norm"},
                                     {"attn.inner_attn_ln", "attn.norm"},
                                     {"attn.relative_position_index", "", Change::kDrop},
                                     {"attn.rope", "", Change::kDrop}};
constexpr Rename kSplitBlock[] = {{"mlp.w12", "mlp.fc1"},
                                  {"mlp.w1", "mlp.fc1_g"},
                                  {"mlp.w2", "mlp.fc1_x"},
                                  {"mlp.w3", "mlp.fc2"},
                                  {"mlp.ffn_ln", "mlp.norm"},
                                  {"attn.inner_attn_ln", "attn.norm"},
                                  {"attn.q_bias", "attn.q_proj.bias"},
                                  {"attn.v_bias", "attn.v_proj.bias"},
                                  {"attn.relative_position_index", "", Change::kDrop},
                                  {"attn.rope", "", Change::kDrop}};
constexpr Rename kMetaDinov3Block[] = {{"attn.qkv.bias_mask", "", Change::kDrop},
                                       {"attn.qkv.bias", "attn", Change::kSplitBias},
                                       {"ls1.gamma", "gamma_1"},
                                       {"ls2.gamma", "gamma_2"},
                                       {"mlp.w1", "mlp.fc1_g"},
                                       {"mlp.w2", "mlp.fc1_x"},
                                       {"mlp.w3", "mlp.fc2"}};
constexpr Rename kDeit3Block[] = {{"gamma_1", "ls1.gamma"}, {"gamma_2", "ls2.gamma"}};
constexpr Rename kOriginalOutside[] = {{"register_tokens", "reg_token"},
                                       {"storage_tokens", "reg_token"},
                                       {"mask_token", "", Change::kDrop},
                                       {"lm_head", "", Change::kDrop},
                                       {"local_cls_norm", "", Change::kDrop},
                                       {"rope_embed", "", Change::kDrop},
                                       {"rope.freqs_cos", "", Change::kDrop},
                                       {"rope.freqs_sin", "", Change::kDrop},
                                       {"rope.periods", "", Change::kDrop},
                                       {"rel_pos_bias.relative_position_index", "", Change::kDrop},
                                       {"decoder_embed", "", Change::kDrop},
                                       {"decoder_pos_embed", "", Change::kDrop},
                                       {"decoder_blocks", "", Change::kDrop},
                                       {"decoder_norm", "", Change::kDrop},
                                       {"decoder_pred", "", Change::kDrop},
                                       // Projection heads of DINO, iBOT and MoCo v3.
                                       {"head.mlp", "", Change::kDrop},
                                       {"head.last_layer", "", Change::kDrop},
                                       {"head.0", "", Change::kDrop},
                                       {"head.1", "", Change::kDrop},
                                       {"head.3", "", Change::kDrop},
                                       {"head.4", "", Change::kDrop},
                                       {"head.6", "", Change::kDrop},
                                       {"head.7", "", Change::kDrop}};
/// OpenCLIP puts its projection beside a timm model.
constexpr Rename kOriginalBeside[] = {{"head.proj.weight", "head.weight", Change::kProjection}};

// Google's ViT and AugReg (https://github.com/google-research/vision_transformer, vit_jax/models_vit.py) count the
// parts of a block together, SigLIP (https://github.com/google-research/big_vision, big_vision/models/vit.py) each kind
// by itself. numpy_archive.h makes the values PyTorch's.
constexpr Rename kGoogleBlock[] = {{"MultiHeadDotProductAttention_1.query", "attn", Change::kQuery},
                                   {"MultiHeadDotProductAttention_1.key", "attn", Change::kKey},
                                   {"MultiHeadDotProductAttention_1.value", "attn", Change::kValue},
                                   {"MultiHeadDotProductAttention_1.out", "attn.proj"},
                                   {"LayerNorm_0", "norm1"},
                                   {"LayerNorm_2", "norm2"},
                                   {"MlpBlock_3.Dense_0", "mlp.fc1"},
                                   {"MlpBlock_3.Dense_1", "mlp.fc2"},
                                   {"MultiHeadDotProductAttention_0.query", "attn", Change::kQuery},
                                   {"MultiHeadDotProductAttention_0.key", "attn", Change::kKey},
                                   {"MultiHeadDotProductAttention_0.value", "attn", Change::kValue},
                                   {"MultiHeadDotProductAttention_0.out", "attn.proj"},
                                   {"LayerNorm_1", "norm2"},
                                   {"MlpBlock_0.Dense_0", "mlp.fc1"},
                                   {"MlpBlock_0.Dense_1", "mlp.fc2"}};
constexpr Rename kGoogleOutside[] = {{"embedding", "patch_embed.proj"},
                                     {"cls", "cls_token"},
                                     {"Transformer.posembed_input.pos_embedding", "pos_embed"},
                                     {"pos_embedding", "pos_embed"},
                                     {"Transformer.encoder_norm", "norm"},
                                     {"MAPHead_0.probe", "attn_pool.latent"},
                                     {"MAPHead_0.MultiHeadDotProductAttention_0.query", "attn_pool", Change::kQuery},
                                     {"MAPHead_0.MultiHeadDotProductAttention_0.key", "attn_pool", Change::kKey},
                                     {"MAPHead_0.MultiHeadDotProductAttention_0.value", "attn_pool", Change::kValue},
                                     {"MAPHead_0.MultiHeadDotProductAttention_0.out", "attn_pool.proj"},
                                     {"MAPHead_0.LayerNorm_0", "attn_pool.norm"},
                                     {"MAPHead_0.MlpBlock_0.Dense_0", "attn_pool.mlp.fc1"},
                                     {"MAPHead_0.MlpBlock_0.Dense_1", "attn_pool.mlp.fc2"},
                                     {"head", "head"}};

constexpr const char* kPatchEmbed = "patch_embed.proj.weight";

Naming transformers(const char* source, const char* anchor, std::array<const char*, 3> signs, const char* blocks,
                    std::span<const Rename> block, std::span<const Rename> outside, std::span<const Rename> beside,
                    bool fold = false) {
  return {source, anchor, signs, blocks, block, outside, beside, true, "", fold};
}

Naming original(const char* source, std::array<const char*, 3> signs, std::span<const Rename> block, bool fold = false,
                const char* without = "") {
  return {source, kPatchEmbed, signs, "blocks.", block, kOriginalOutside, kOriginalBeside, false, without, fold};
}

}  // namespace

std::span<const Naming> namings() {
  static constexpr const char* kProjection = "embeddings.patch_embeddings.projection.weight";
  static constexpr const char* kEmbedding = "embeddings.patch_embedding.weight";
  static const Naming all[] = {
      transformers("transformers' gated DINOv3", "embeddings.patch_embeddings.weight",
                   {"layer.0.layer_scale1", "layer.0.mlp.gate_proj"}, "layer.", kDinov3GatedBlock, kDinov3Outside, {}),
      transformers("transformers' DINOv3", "embeddings.patch_embeddings.weight", {"layer.0.layer_scale1"}, "layer.",
                   kDinov3Block, kDinov3Outside, {}),
      transformers("transformers' DINOv2 with registers", kProjection,
                   {"encoder.layer.0.layer_scale1", "embeddings.register_tokens"}, "encoder.layer.", kDinov2Block,
                   kDinov2Outside, kVitBeside, true),
      transformers("transformers' DINOv2", kProjection, {"encoder.layer.0.layer_scale1"}, "encoder.layer.",
                   kDinov2Block, kDinov2Outside, kVitBeside),
      transformers("transformers' BEiT", kProjection, {"encoder.layer.0.lambda_1"}, "encoder.layer.", kBeitBlock,
                   kBeitOutside, kVitBeside),
      transformers("transformers' ViT or DeiT", kProjection, {"encoder.layer.0.layernorm_before"}, "encoder.layer.",
                   kVitBlock, kVitOutside, kVitBeside),
      transformers("transformers' CLIP", kEmbedding, {"encoder.layers.0.layer_norm1", "pre_layrnorm"},
                   "encoder.layers.", kClipBlock, kClipOutside, kClipBeside),
      transformers("transformers' SigLIP", kEmbedding, {"encoder.layers.0.layer_norm1"}, "encoder.layers.", kClipBlock,
                   kSiglipOutside, kSiglipBeside),
      transformers(kGoogleVit, "embedding.weight", {"Transformer.encoderblock_0."}, "Transformer.encoderblock_",
                   kGoogleBlock, kGoogleOutside, {}),
      transformers("torchvision", "conv_proj.weight", {"encoder.layers.encoder_layer_0.ln_1"},
                   "encoder.layers.encoder_layer_", kTorchvisionBlock, kTorchvisionOutside, {}),
      transformers("Meta's Perception Encoder", "conv1.weight", {"transformer.resblocks.0.ln_1", "attn_pool.probe"},
                   "transformer.resblocks.", kPerceptionBlock, kOpenClipOutside, {}),
      transformers(kOpenClip, "conv1.weight", {"transformer.resblocks.0.ln_1"}, "transformer.resblocks.",
                   kOpenClipBlock, kOpenClipOutside, {}),
      original("Meta's DINOv3", {"storage_tokens", "blocks.0."}, kMetaDinov3Block),
      original("Meta's DINOv2 with registers", {"register_tokens", "blocks.0."}, kOriginalBlock, true),
      original("Meta's DINOv2", {"mask_token", "blocks.0.ls1.gamma"}, kOriginalBlock),
      original("Meta's MAE", {"decoder_blocks.", "blocks.0."}, kOriginalBlock),
      original("Meta's DeiT-III or timm's RoPE-ViT", {"blocks.0.gamma_1", "blocks.0.attn.qkv.bias", "pos_embed"},
               kDeit3Block, false, "norm_pre"),
      original("EVA", {"blocks.0.attn.q_proj.weight", "blocks.0.attn.q_bias"}, kSplitBlock),
      original("EVA", {"blocks.0.mlp.w1"}, kOriginalBlock),
      original("EVA", {"blocks.0.attn.inner_attn_ln"}, kOriginalBlock),
      original("BEiT", {"blocks.0.attn.relative_position_index"}, kOriginalBlock),
      original("timm", {"blocks.0."}, kOriginalBlock)};
  return all;
}

}  // namespace vitrine
