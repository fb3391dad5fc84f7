// The teacher as extraction, a live target source and verification share it: a ViT with frozen weights, its taps, its
// micro-batch, and the tracks that its outputs make.
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
#include "common/models/vit.h"
#include "common/plan/plan.h"

namespace vitrine {

struct TeacherOptions {
  std::string
      name;  ///< what the teacher is called in the cache; empty: the architecture's name, else the weight file's
  std::string weights;  ///< a .safetensors file with timm's names
  VitOptions vit;
  std::string precision = "fp32";  ///< precision.h
  std::string device = "cpu";
  std::uint32_t micro_batch = 16;  ///< views in one forward; divides the group
  std::vector<double> mean = {0.485, 0.456, 0.406}, stddev = {0.229, 0.224, 0.225};
  double crop_pct = 0.9;  ///< of the clean crop's resized picture, timm's crop_pct
  std::string license;    ///< the weights', as the cache is to say it; empty: not known

  void fields(Fields& f);
};

/// Which targets are kept, and in which encoding.
struct TapOptions {
  bool logits = true;
  std::vector<int> features, attention;  ///< blocks, from 0; negative ones count from the end
  bool normalise = true;
  std::vector<int> attention_heads;  ///< of each attention block, from 0; empty: all
  bool attention_mean = false;       ///< keep the mean over those heads alone
  std::string logits_encoding = "uniform", features_encoding = "transform", attention_encoding = "sqrt8";
  double logits_error = 1.0 / 64;  ///< uniform and topk: largest |error| of a logit; topk: 0 for fp16
  double max_error = 0.01;         ///< transform: share of the features' energy that may be lost, in every group
  std::uint32_t calibration_views = 1024;  ///< transform: views that its basis is made from
  std::uint32_t topk = 32;                 ///< logits kept of each view
  std::vector<double> topk_temperatures = {1, 4};
  int level = 1;                                                  ///< zstd's, of tracks that have none of their own
  int logits_level = 0, features_level = 0, attention_level = 0;  ///< 0: `level`
  int logits_window = 0, features_window = 0,
      attention_window = 0;  ///< zstd's window is 2^this bytes; 0: the level's own

  void fields(Fields& f);
  /// Of tracks of that kind.
  Compression compression(const std::string& kind) const;
};

/// What normalises a picture: TeacherOptions::mean and std.
struct Normalisation {
  std::vector<double> mean, stddev;
};

class Teacher {
 public:
  /// Loads and checks the weights. Throws Error for a file that does not fit, a block that does not exist, an encoding
  /// that is not known. `options.vit.classes` must be the head's.
  Teacher(const TeacherOptions& options, const TapOptions& taps);
  ~Teacher();

  const TeacherOptions& options() const { return options_; }
  Normalisation normalisation() const { return {options_.mean, options_.stddev}; }
  int image_size() const;
  int classes() const;
  /// One a tap: logits, then features, then attention, in the order of the blocks given. In the transform encoding a
  /// track's basis is still to be made: calibrate.h.
  std::vector<TrackInfo> tracks(const Plan& plan) const;
  /// The same before there is a plan: without its hash and its classes'.
  std::vector<TrackInfo> outputs() const;

  /// pictures: uint8 [views, S, S, 3]. Returns raw FP32 values, one vector a track, [views, shape...]. Views are taken
  /// in micro-batches of exactly options().micro_batch, so views must be a multiple of it. Any thread on a CPU, several
  /// at once; each with at::set_num_threads(1), or results depend on the number of threads. Throws Error when an output
  /// is not finite, naming view and track, when memory runs out (kMemory) and when a card fails (kIo).
  std::vector<std::vector<float>> run(std::span<const std::uint8_t> pictures, std::uint32_t views) const;
  /// Logits only, of any number of views (the last micro-batch is padded): [views, classes]. Same errors.
  /// `normalisation`: in place of those of the options, or nullptr.
  std::vector<float> logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                            const Normalisation* normalisation = nullptr) const;

 private:
  VitOutputs forward(std::span<const std::uint8_t> pictures, std::uint32_t views, const VitTaps& taps,
                     const Normalisation& normalisation) const;
  /// run() and logits() without the translation of LibTorch's errors.
  std::vector<std::vector<float>> compute(std::span<const std::uint8_t> pictures, std::uint32_t views) const;
  std::vector<float> compute_logits(std::span<const std::uint8_t> pictures, std::uint32_t views,
                                    const Normalisation& normalisation) const;

  /// The heads that are kept of one block's [N, heads, H, W], or their mean [N, 1, H, W].
  at::Tensor kept_heads(const at::Tensor& attention) const;
  std::size_t heads_kept() const;
  /// Of one view.
  std::size_t view_values(std::size_t track) const;
  /// What a track is called in messages.
  std::string what(std::size_t track) const;

  TeacherOptions options_;
  TapOptions tap_options_;
  VitTaps taps_;
  std::string weights_sha256_;
  c10::Device device_;
  PrecisionScope precision_;
  ComputeRecord made_with_;
  mutable Vit vit_{nullptr};
  mutable std::mutex gpu_;  // a GPU serves one caller at a time
};

/// What a cache gives back for a group's `raw`: through the track's codec and out again. Bit-equal to extracting and
/// reading.
void through_codec(const Codec& codec, std::uint32_t views, std::vector<float>& raw);

}  // namespace vitrine

#endif  // VITRINE_COMMON_TEACHER_TEACHER_H_
