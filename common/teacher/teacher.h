// The teacher shared by extraction, live targets and verification: a ViT with frozen weights, its taps, its
// micro-batches and the tracks made of its outputs.
#ifndef VITRINE_COMMON_TEACHER_TEACHER_H_
#define VITRINE_COMMON_TEACHER_TEACHER_H_

#include <array>
#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "common/cache/track.h"
#include "common/config/fields.h"
#include "common/models/precision.h"
#include "common/models/vit/vit.h"
#include "common/plan/plan.h"

namespace vitrine {

struct TeacherOptions {
  std::string name;     ///< name in the cache; empty: the architecture's name, else the weight file's
  std::string weights;  ///< a .safetensors file with timm's names
  VitOptions vit;
  std::string precision = "fp32";  ///< precision.h
  std::string device = "cpu";
  std::uint32_t micro_batch = 16;  ///< views per forward pass; divides the group
  std::vector<double> mean = {0.485, 0.456, 0.406}, stddev = {0.229, 0.224, 0.225};
  double crop_pct = 0.9;  ///< clean crop: share of the resized image that is kept (timm's crop_pct)
  std::string license;    ///< the weights' license, recorded in the cache; empty: unknown

  void fields(Fields& f);
};

/// The targets to keep and their encodings.
struct TapOptions {
  bool logits = true;
  std::vector<int> features, attention;  ///< block numbers, from 0; negative ones count from the end
  bool normalise = true;
  std::vector<int> attention_heads;  ///< heads kept of each attention block, from 0; empty: all
  bool attention_mean = false;       ///< keep only the mean over those heads
  std::string logits_encoding = "uniform", features_encoding = "transform", attention_encoding = "sqrt8";
  double logits_error = 1.0 / 64;          ///< uniform and topk: largest |error| of a logit; topk: 0 for fp16
  double max_error = 0.01;                 ///< transform: share of the features' energy that may be lost, per group
  std::uint32_t calibration_views = 1024;  ///< transform: views for calibrating the basis
  std::uint32_t topk = 32;                 ///< logits kept per view
  std::vector<double> topk_temperatures = {1, 4};
  int level = 1;                                                  ///< zstd level of tracks without their own
  int logits_level = 0, features_level = 0, attention_level = 0;  ///< 0: `level`
  /// log2 of zstd's window in bytes; 0: the level's default.
  int logits_window = 0, features_window = 0, attention_window = 0;

  void fields(Fields& f);
  /// For tracks of that kind.
  Compression compression(const std::string& kind) const;
};

/// Input normalisation: TeacherOptions::mean and std.
struct Normalisation {
  std::vector<double> mean, stddev;
};

class Teacher {
 public:
  /// Loads and checks the weights. Throws Error for weights that do not fit, a block that does not exist, and an
  /// unknown encoding. `options.vit.classes` must equal the head's.
  Teacher(const TeacherOptions& options, const TapOptions& taps);
  ~Teacher();

  const TeacherOptions& options() const { return options_; }
  Normalisation normalisation() const { return {options_.mean, options_.stddev}; }
  int image_size() const;
  int classes() const;
  /// One per tap: logits, then features, then attention, in the order of the blocks given. With the transform encoding
  /// a track's basis is still missing; see calibrate.h.
  std::vector<TrackInfo> tracks(const Plan& plan) const;
  /// The same without a plan: plan_hash and class_list_sha256 are not set.
  std::vector<TrackInfo> outputs() const;

  /// pictures: uint8 [views, S, S, 3]. Returns raw FP32 values, one vector per track, [views, shape...]. `views` must
  /// be a multiple of options().micro_batch, the exact size of each forward pass. Thread-safe; on a CPU calls run in
  /// parallel and each needs at::set_num_threads(1), else results depend on the number of threads. Throws Error if an
  /// output is not finite (naming view and track), if memory runs out (kMemory) and if the GPU fails (kIo).
  std::vector<std::vector<float>> run(std::span<const std::uint8_t> pictures, std::uint32_t views) const;
  /// Logits of any number of views (the last micro-batch is padded): [views, classes]. Same errors. `normalisation`:
  /// replaces that of the options, unless null.
  std::vector<float> logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                            const Normalisation* normalisation = nullptr) const;

 private:
  VitOutputs forward(std::span<const std::uint8_t> pictures, std::uint32_t views, const VitTaps& taps,
                     const Normalisation& normalisation) const;
  /// run() and logits() without conversion of LibTorch's errors.
  std::vector<std::vector<float>> compute(std::span<const std::uint8_t> pictures, std::uint32_t views) const;
  std::vector<float> compute_logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                    const Normalisation& normalisation) const;

  /// The heads to keep of one block's [N, heads, H, W], or their mean [N, 1, H, W].
  at::Tensor kept_heads(const at::Tensor& attention) const;
  std::size_t heads_kept() const;
  /// Values per view.
  std::size_t view_values(std::size_t track) const;
  /// The name of a track's output in messages.
  std::string what(std::size_t track) const;

  TeacherOptions options_;
  TapOptions tap_options_;
  VitTaps taps_;
  std::string weights_sha256_;
  c10::Device device_;
  PrecisionScope precision_;
  ComputeRecord made_with_;
  mutable Vit vit_{nullptr};
  mutable std::mutex gpu_;  // serialises the use of a GPU
};

/// Encodes and decodes a group's values, giving exactly what would be read back from a cache.
void through_codec(const Codec& codec, std::uint32_t views, std::vector<float>& raw);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_H_
