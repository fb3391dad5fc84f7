// The keys of [teacher] and [taps]: which teacher, and what is kept of it.
#ifndef VITRINE_COMMON_TEACHER_TEACHER_OPTIONS_H_
#define VITRINE_COMMON_TEACHER_TEACHER_OPTIONS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/codec/frame.h"
#include "common/config/fields.h"

namespace vitrine {

struct VitStructure;

struct TeacherOptions {
  std::string name;     ///< name in the cache; empty: the architecture's name, else the weight file's
  std::string weights;  ///< a weight file or a directory with one (common/models/weights)
  std::string module;   ///< instead of weights: a module exported from PyTorch (module_network.h)
  /// Class text embeddings that make logits of a vision-language model's image tower (zero_shot.h); empty: none.
  std::string zero_shot;
  std::string arch;  ///< timm's name; empty: from the config.json beside the weights, else from the tensors
  /// 0 or empty: from arch, config.json or the tensors. Another image_size or patch than the weights' resamples
  /// positions and patch weights as timm does.
  int image_size = 0, patch = 0, heads = 0;
  std::string activation;
  std::string precision = "fp32";  ///< precision.h
  std::string device = "cpu";
  std::uint32_t micro_batch = 16;    ///< views per forward pass; divides the group
  std::vector<double> mean, stddev;  ///< empty: from config.json, else from the architecture's table
  double crop_pct = 0;               ///< clean crop, as timm's; 0: as mean
  std::string crop_mode;             ///< clean crop: "center" or "squash"; empty: as mean
  std::string interpolation;         ///< clean crop: of resizing, resample_filter()'s words; empty: as mean
  std::string license;               ///< the weights' licence, recorded in the cache; empty: as config.json says
  /// Not a key: whether code in `module` may run (--allow module).
  bool allow_module = false;
  /// Not a key: the structure recorded in a track, which replaces every other source; then only crop_mode and
  /// interpolation, which tracks do not record of clean crops, come from config.json. Null: none.
  std::shared_ptr<const VitStructure> structure;

  void fields(Fields& f);
  /// The weights or the module; empty: no teacher is given.
  const std::string& file() const { return weights.empty() ? module : weights; }
};

/// The targets to keep and their encodings.
struct TapOptions {
  bool logits = true;                    ///< of a teacher that has a head
  bool embedding = false;                ///< the pooled feature before the head
  std::vector<int> features, attention;  ///< block numbers, from 0; negative ones count from the end
  bool normalise = true;
  std::vector<int> attention_heads;  ///< heads kept of each attention block, from 0; empty: all
  bool attention_mean = false;       ///< keep only the mean over those heads
  bool attention_rollout = false;    ///< keep the attention rollout up to each block instead (models/vit/rollout.h)
  std::string logits_encoding = "uniform", embedding_encoding = "fp16", features_encoding = "transform",
              attention_encoding = "sqrt8";
  double logits_error = 1.0 / 64;          ///< uniform and topk: largest |error| of a logit; topk: 0 for fp16
  double max_error = 0.01;                 ///< transform: share of the features' energy that may be lost, per group
  std::uint32_t calibration_views = 1024;  ///< transform: views for calibrating the basis
  std::uint32_t topk = 32;                 ///< logits kept per view
  std::vector<double> topk_temperatures = {1, 4};
  int level = 1;  ///< zstd level of tracks without their own
  int logits_level = 0, embedding_level = 0, features_level = 0, attention_level = 0;  ///< 0: `level`
  /// log2 of zstd's window in bytes; 0: the level's default.
  int logits_window = 0, embedding_window = 0, features_window = 0, attention_window = 0;

  void fields(Fields& f);
  /// For tracks of that kind.
  Compression compression(const std::string& kind) const;
  const std::string& encoding(const std::string& kind) const;
};

/// Input normalisation: TeacherOptions::mean and std.
struct Normalisation {
  std::vector<double> mean, stddev;

  bool operator==(const Normalisation&) const = default;
};

/// Throws Error for encodings, levels and windows that a kind of target never allows; checks that depend on sizes are
/// the codec's.
void check_taps(const TapOptions& taps);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_OPTIONS_H_
