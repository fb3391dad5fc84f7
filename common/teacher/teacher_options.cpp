#include "common/teacher/teacher_options.h"

#include <array>
#include <initializer_list>

#include "common/base/error.h"
#include "common/codec/encoding.h"

namespace vitrine {
namespace {

/// The settings that tracks of a kind have.
struct Kind {
  const char* name;
  std::string TapOptions::*encoding;
  int TapOptions::*level;
  int TapOptions::*window;
};
constexpr std::array kKinds{
    Kind{"logits", &TapOptions::logits_encoding, &TapOptions::logits_level, &TapOptions::logits_window},
    Kind{"embedding", &TapOptions::embedding_encoding, &TapOptions::embedding_level, &TapOptions::embedding_window},
    Kind{"features", &TapOptions::features_encoding, &TapOptions::features_level, &TapOptions::features_window},
    Kind{"attention", &TapOptions::attention_encoding, &TapOptions::attention_level, &TapOptions::attention_window}};

const Kind& kind_of(const std::string& name) {
  for (const Kind& kind : kKinds)
    if (name == kind.name) return kind;
  throw std::logic_error("TapOptions: unknown kind of track " + name);
}

void allow(const TapOptions& taps, const char* kind, std::initializer_list<Encoding> encodings) {
  const std::string& name = taps.encoding(kind);
  const Encoding encoding = encoding_from_name(name, text("taps.", kind, "_encoding"));
  std::string words;
  for (const Encoding allowed : encodings) {
    if (encoding == allowed) return;
    words += text(words.empty() ? "" : ", ", encoding_name(allowed));
  }
  fail("taps.", kind, "_encoding = \"", name, "\" is not allowed for these targets; expected one of ", words);
}

}  // namespace

void TeacherOptions::fields(Fields& f) {
  f.text("name", name, "name of the teacher in the cache; empty: the architecture's, or the weight file's name");
  f.text("weights", weights,
         "the teacher's weights: a file (.safetensors, .pth, .bin, .npz) or a directory with one and its config.json");
  f.text("module", module,
         "instead of weights: a module made by tools/scripts/export_teacher.py, TorchScript or .pt2 (needs --allow "
         "module)");
  f.text(
      "zero_shot", zero_shot,
      "class text embeddings (tools/scripts/zero_shot_head.py), which make logits of a CLIP's or SigLIP's image tower; "
      "empty: none");
  f.text("arch", arch, "timm's name of the architecture; empty: from config.json, else from the tensors");
  f.integer("image_size", image_size, "side of the square input in pixels; 0: as the weights have it", {0, 4096});
  f.integer("patch", patch, "side of a patch; 0: as the weights have it", {0, 256});
  f.integer("heads", heads, "attention heads, which tensors do not show; 0: from arch or config.json, else width / 64",
            {0, 256});
  f.text("activation", activation,
         "of the MLP: gelu, gelu_tanh, quick_gelu or silu; empty: from arch or config.json, else gelu");
  f.choice<std::string>("precision", precision,
                        {{"fp32", "fp32"}, {"tf32", "tf32"}, {"bf16", "bf16"}, {"fp16", "fp16"}},
                        "arithmetic of the forward pass (tf32 and bf16 on a GPU need capability 8.0; on the CPU tf32 "
                        "is fp32); the head and outputs are FP32");
  f.text("device", device, "cpu, cuda (under torchrun or srun the GPU of the local rank) or cuda:N");
  f.integer("micro_batch", micro_batch, "views per forward pass; divides plan.group", {1, 65536});
  f.numbers("mean", mean, "subtracted from each colour in [0, 1]; empty: from config.json or the architecture", {0, 1});
  f.numbers("std", stddev, "each colour is divided by it; empty: as mean", {1e-6, 1e6});
  f.number("crop_pct", crop_pct, "clean crop: share of the resized image that is kept (timm's crop_pct); 0: as mean",
           {0, 1});
  f.text("crop_mode", crop_mode,
         "clean crop: center keeps the sides' ratio, squash does not (timm's crop_mode); empty: as mean");
  f.text("interpolation", interpolation,
         "clean crop: how it is resized: bicubic, bilinear, lanczos, box or hamming; empty: as mean");
  f.text("license", license,
         "the weights' licence, recorded in the cache (\"apache-2.0\"); empty: as config.json says");
}

void TapOptions::fields(Fields& f) {
  f.flag("logits", logits, "keep logits, if the teacher has a head");
  f.flag("embedding", embedding, "keep the pooled feature before the head");
  f.integers("features", features, "blocks whose patch tokens are kept; negative ones count from the end",
             {-1000, 1000});
  f.integers("attention", attention, "blocks whose class-token attention is kept", {-1000, 1000});
  f.flag("normalise", normalise, "features after a LayerNorm without affine; false: raw");
  f.integers("attention_heads", attention_heads, "heads kept of each attention block, from 0; empty: all", {0, 1000});
  f.flag("attention_mean", attention_mean, "keep the mean over those heads instead of each");
  f.flag("attention_rollout", attention_rollout,
         "keep the rollout of the attention from the first block to each of these instead: one map over all heads "
         "(Abnar and Zuidema, 2020)");
  f.text("logits_encoding", logits_encoding, "fp32, fp16, int8, uniform (all classes, bounded error) or topk");
  f.number("logits_error", logits_error, "uniform and topk: largest error of a logit; topk: 0 stores fp16", {0, 1e6});
  f.integer("topk", topk, "topk: logits kept per view, fewer than all classes", {1, 4e9});
  f.numbers("topk_temperatures", topk_temperatures,
            "topk: temperatures at which a student may learn (loss.temperature must be one of them)", {0.01, 1000});
  f.text("embedding_encoding", embedding_encoding, "fp32, fp16 or int8");
  f.text("features_encoding", features_encoding, "fp32, fp16, int8 or transform (bounded error)");
  f.number("max_error", max_error, "transform: share of the features' energy that may be lost, per group",
           {1e-9, 0.999});
  f.integer("calibration_views", calibration_views, "transform: views of pass 0 for calibrating the basis", {1, 1e9});
  f.text("attention_encoding", attention_encoding, "fp32, fp16, int8 or sqrt8");
  f.integer(
      "level", level,
      "zstd level; -1 stores poorly compressible data raw: int8 takes 6 % more space and reads several times as fast",
      {kMinLevel, kMaxLevel});
  const Range levels{kMinLevel, kMaxLevel}, windows{0, kMaxWindow};
  f.integer("logits_level", logits_level, "the same for logits only; 0: taps.level", levels);
  f.integer("embedding_level", embedding_level, "the same for the embedding only; 0: taps.level", levels);
  f.integer("features_level", features_level, "the same for features only; 0: taps.level", levels);
  f.integer("attention_level", attention_level, "the same for attention only; 0: taps.level", levels);
  f.integer("logits_window", logits_window,
            "logits: log2 of zstd's window in bytes, at least 10; 0: the level's default", windows);
  f.integer("embedding_window", embedding_window, "the same for the embedding", windows);
  f.integer("features_window", features_window, "the same for features", windows);
  f.integer("attention_window", attention_window, "the same for attention", windows);
}

Compression TapOptions::compression(const std::string& kind) const {
  const Kind& settings = kind_of(kind);
  const int own = this->*settings.level;
  return {own != 0 ? own : level, this->*settings.window};
}

const std::string& TapOptions::encoding(const std::string& kind) const {
  return this->*kind_of(kind).encoding;
}

void check_taps(const TapOptions& taps) {
  allow(taps, "logits", {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kUniform, Encoding::kTopk});
  allow(taps, "embedding", {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8});
  allow(taps, "features", {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kTransform});
  allow(taps, "attention", {Encoding::kFp32, Encoding::kFp16, Encoding::kInt8, Encoding::kSqrt8});
  if (taps.attention_rollout && !taps.attention_heads.empty())
    fail(
        "taps.attention_rollout averages all heads; leave taps.attention_heads empty, or set taps.attention_rollout = "
        "false");
  if (!is_level(taps.level)) fail("taps.level = 0 is not a zstd level; expected 1 to ", kMaxLevel, ", or -1 for none");
  for (const Kind& kind : kKinds)
    if (const int window = taps.*kind.window; !is_window(window))
      fail("taps.", kind.name, "_window = ", window, " is not a zstd window; expected ", kMinWindow, " to ", kMaxWindow,
           ", or 0 for the level's own");
}

}  // namespace vitrine
